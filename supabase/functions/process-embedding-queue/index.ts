import { EmbeddingAction, perform } from "../../../shared/embeddings/actions.ts";
import { readBody } from "../../../shared/platform/body.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { rowsOf, rpcOf } from "../../../shared/platform/rpc.ts";
import { staffDoor } from "../_shared/door.ts";
import { embedderFromEnvironment, embedderOf } from "../_shared/embedder.ts";

/** The worker: embeds what has changed, and removes what is gone. */
export default {
  fetch: staffDoor(
    { methods: ["POST"] },
    async (request, { supabaseAdmin }) =>
      await perform(await readBody(request, EmbeddingAction), {
        rpc: rpcOf(supabaseAdmin),
        embedder: embedderFromEnvironment,
        embedderOf,
        readStatus: () => rowsOf(supabaseAdmin.from("embedding_sync_status").select()),
        clock: systemClock,
      }),
  ),
};
