/** Names by which this machine calls itself; the last is a container's name for the machine that it runs on. */
export function isLocalHost(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname) || hostname === "host.docker.internal";
}
