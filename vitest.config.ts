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
          include: ["tests/postgres/**/*.test.ts", "tests/sql/**/*.test.ts", "tests/local/**/*.test.ts", "tests/functions/**/*.test.ts"],
        },
      },
    ],
  },
});
