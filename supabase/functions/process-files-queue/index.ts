import { FileAction, performFileAction } from "../../../shared/files/actions.ts";
import { blobStore } from "../../../shared/files/blobs.ts";
import { extractSlice } from "../../../shared/files/extract/extract.ts";
import { readBody } from "../../../shared/platform/body.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { rowsOf, rpcOf } from "../../../shared/platform/rpc.ts";
import { staffDoor } from "../_shared/door.ts";

/** The worker of files: reads what was uploaded into documents, and removes those of what is gone. */
export default {
  fetch: staffDoor(
    { methods: ["POST"] },
    async (request, { supabaseAdmin }) =>
      await performFileAction(await readBody(request, FileAction), {
        rpc: rpcOf(supabaseAdmin),
        blobs: blobStore(supabaseAdmin.storage),
        extract: extractSlice,
        readStatus: () => rowsOf(supabaseAdmin.from("files_sync_status").select()),
        clock: systemClock,
      }),
  ),
};
