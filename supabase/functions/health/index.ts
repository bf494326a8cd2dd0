import { readHealth } from "../../../shared/platform/health.ts";
import { rpcOf } from "../../../shared/platform/rpc.ts";
import { staffDoor } from "../_shared/door.ts";

/** Tells what is in place and what is not. Schedules and monitors that can only POST are answered as well. */
export default {
  fetch: staffDoor({ methods: ["GET", "POST"] }, async (_request, { supabaseAdmin }) => {
    const secretKeys: Record<string, string> = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") ?? "{}");
    return await readHealth({ rpc: rpcOf(supabaseAdmin), secretKeys });
  }),
};
