import { inject } from "vitest";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";

export interface StackUnderTest {
  url: string;
  databaseUrl: string;
  publishableKey: string;
  secretKey: string;
}

/** The running stack that all suites of a lane share. A suite leaves behind nothing that another could stumble on. */
export function stack(): StackUnderTest {
  return { ...inject("stack"), publishableKey: PUBLISHABLE_KEY, secretKey: SECRET_KEY };
}
