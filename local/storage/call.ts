import type { BlobStore } from "./blobs.ts";
import type { Session } from "./session.ts";

/** One request, with all that it takes to answer it. */
export interface Call {
  request: Request;
  url: URL;
  session: Session;
  blobs: BlobStore;
  /** False where a route that asks for no token got none, or one that does not hold. */
  authenticated: boolean;
  /** Where clients find the stack. */
  publicUrl: string;
}

/** Whom the caller's new objects and buckets belong to. */
export function ownerOf({ session }: Call): string | undefined {
  const { sub } = session.caller.claims;
  return typeof sub === "string" ? sub : undefined;
}
