import process from "node:process";
import { parseArgs } from "node:util";
import { startProvider } from "./provider.ts";

/** The provider as a process of its own, for benchmarks: --port, --latency in milliseconds, --key. GET /totals counts. */
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    latency: { type: "string", default: "0" },
    key: { type: "string", default: "sk-local-0123456789abcdef" },
  },
});

const provider = await startProvider({
  port: Number(values.port),
  latencyMs: Number(values.latency),
  key: values.key,
});
// The one who started it reads where it is.
process.send?.({ baseUrl: provider.baseUrl, key: provider.key });
console.log(`OPENAI_BASE_URL=${provider.baseUrl} OPENAI_API_KEY=${provider.key}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    provider.close().then(() => process.exit(0), () => process.exit(1));
  });
}
process.once("disconnect", () => process.exit(0));
