// A new thread knows no TypeScript until it is told, on Node 20 at least.
import { register } from "tsx/esm/api";

register();
await import("./embedded.ts");
