import { defineConfig } from "vitest/config";

/**
 * Two lanes. `embedded` needs nothing outside npm. `postgres` runs the same SQL and stack suites, and the concurrency
 * suites besides, on the Postgres that DATABASE_URL names.
 */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    globalSetup: "tests/support/global-setup.ts",
    projects: [
      {
        extends: true,
        test: { name: "embedded", include: ["tests/**/*.test.ts"], exclude: ["tests/postgres/**"] },
      },
      {
        extends: true,
        test: {
          name: "postgres",
          include: ["postgres", "sql", "local", "functions", "official-cli"].map((suite) =>
            `tests/${suite}/**/*.test.ts`
          ),
          // Deploying a function asks nothing of a database.
          exclude: ["tests/official-cli/deploy.test.ts"],
        },
      },
    ],
  },
});
