import type { JWTPayload } from "jose";
import { signLegacy, TokenError, verifyToken } from "../auth/tokens.ts";
import { refusals, refusedSignature } from "./errors.ts";

/** A token opens one door: a link to read can never be used to write, nor the other way round. */
type Scope = "download" | "upload";

const UPLOAD_URL_SECONDS = 2 * 60 * 60;

/** The path of a link to an object, as storage-js completes it. */
export async function downloadUrl(bucket: string, key: string, seconds: number): Promise<string> {
  const url = `${bucket}/${key}`;
  return `/object/sign/${url}?token=${await sign({ url, scope: "download" }, seconds)}`;
}

export async function uploadUrl(
  bucket: string,
  key: string,
  claims: { owner: string | undefined; upsert: boolean },
): Promise<{ url: string; token: string }> {
  const url = `${bucket}/${key}`;
  const token = await sign({ ...claims, url, scope: "upload" }, UPLOAD_URL_SECONDS);
  return { url: `/object/upload/sign/${url}?token=${token}`, token };
}

/** When the link to an object ends, in seconds since 1970. */
export async function verifyDownloadToken(token: string | null, bucket: string, key: string): Promise<number> {
  return (await verify(token, `${bucket}/${key}`, "download")).exp ?? 0;
}

export async function verifyUploadToken(
  token: string | null,
  bucket: string,
  key: string,
): Promise<{ owner: string | undefined; upsert: boolean }> {
  const { owner, upsert } = await verify(token, `${bucket}/${key}`, "upload");
  return { owner: typeof owner === "string" ? owner : undefined, upsert: upsert === true };
}

async function sign(claims: JWTPayload & { scope: Scope }, seconds: number): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return await signLegacy({ ...claims, iat: now, exp: now + seconds });
}

async function verify(token: string | null, url: string, scope: Scope): Promise<JWTPayload> {
  if (token === null) throw refusals.invalidRequest("querystring must have required property 'token'");
  const claims = await verifyToken(token).catch((error: unknown) => {
    throw error instanceof TokenError ? refusedSignature(error) : error;
  });
  // A session's token is well signed too, and has no scope.
  const scoped = claims.scope ?? ("upsert" in claims ? "upload" : "download");
  if (scoped !== scope) throw refusals.invalidSignature(`Token is not scoped for ${scope}`);
  if (claims.url !== url) throw refusals.invalidSignature();
  return claims;
}
