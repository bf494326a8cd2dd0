import { blobStore } from "../../../shared/files/blobs.ts";
import { extractSlice } from "../../../shared/files/extract/extract.ts";
import { fileQueue } from "../../../shared/files/queue.ts";
import { follow, StorageEvent } from "../../../shared/files/webhook.ts";
import { readBody } from "../../../shared/platform/body.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { rpcOf } from "../../../shared/platform/rpc.ts";
import { staffDoor } from "../_shared/door.ts";

/** Takes the Database Webhook of storage.objects, for who wants files read the moment they are there. */
export default {
  fetch: staffDoor({ methods: ["POST"] }, async (request, { supabaseAdmin }) => {
    const rpc = rpcOf(supabaseAdmin);
    return await follow(await readBody(request, StorageEvent), {
      rpc,
      queue: fileQueue(rpc, crypto.randomUUID()),
      blobs: blobStore(supabaseAdmin.storage),
      extract: extractSlice,
      clock: systemClock,
    });
  }),
};
