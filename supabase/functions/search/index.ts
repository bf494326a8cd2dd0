import { readBody } from "../../../shared/platform/body.ts";
import { rpcOf } from "../../../shared/platform/rpc.ts";
import { search, SearchRequest } from "../../../shared/search/search.ts";
import { publicDoor } from "../_shared/door.ts";
import { embedderOf } from "../_shared/embedder.ts";

/** What fits a question best, of what the caller may see. */
export default {
  fetch: publicDoor({ methods: ["POST"] }, async (request, { authMode, supabase, supabaseAdmin }) => {
    return await search(await readBody(request, SearchRequest), {
      rpc: rpcOf(authMode === "secret" ? supabaseAdmin : supabase),
      serviceRpc: rpcOf(supabaseAdmin),
      embedQuery: (text, profile) => embedderOf(profile).embedQuery(text),
    });
  }),
};
