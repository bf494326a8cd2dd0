import { defineConfig } from "vitest/config";

/** Set lane by lane: set for all, it would start one stack more, which nobody uses. */
const GLOBAL_SETUP = "tests/support/global-setup.ts";

/**
 * Two lanes. `embedded` needs nothing outside npm. `postgres` runs the same SQL and stack suites, and the concurrency
 * suites besides, on the Postgres that DATABASE_URL names.
 */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "embedded",
          globalSetup: GLOBAL_SETUP,
          include: ["tests/**/*.test.ts"],
          exclude: ["tests/postgres/**"],
        },
      },
      {
        extends: true,
        test: {
          name: "postgres",
          globalSetup: GLOBAL_SETUP,
          include: ["postgres", "sql", "local", "functions", "official-cli"].map((suite) =>
            `tests/${suite}/**/*.test.ts`
          ),
          // Deploying a function asks nothing of a database, and the embedded one is tested by itself.
          exclude: ["tests/official-cli/deploy.test.ts", "tests/local/embedded/**"],
        },
      },
    ],
  },
});
