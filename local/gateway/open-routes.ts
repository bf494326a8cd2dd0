/** Routes that the platform opens without an API key: what they give is public, or the URL itself carries a token. */
export function isOpen(method: string, url: URL): boolean {
  const path = url.pathname;
  const reads = method === "GET" || method === "HEAD";
  const signed = url.searchParams.has("token");
  if (path.startsWith("/auth/v1/")) return reads && /^\/auth\/v1\/(\.well-known\/.+|health)$/.test(path);
  if (path.startsWith("/storage/v1/object/upload/sign/")) return method === "PUT" && signed;
  if (/^\/storage\/v1\/(object|render\/image)\/sign\//.test(path)) return reads && signed;
  return reads && /^\/storage\/v1\/(object|object\/info|render\/image)\/public\//.test(path);
}
