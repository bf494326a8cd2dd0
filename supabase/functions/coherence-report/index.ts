import { answerReport, CoherenceRequest, performCoherence } from "../../../shared/coherence/answer.ts";
import { readBody } from "../../../shared/platform/body.ts";
import { rpcOf } from "../../../shared/platform/rpc.ts";
import { staffDoor } from "../_shared/door.ts";

/** Whether sources and copies agree in the whole house, as JSON or as metrics; posted to, it can put right what is safe. */
export default {
  fetch: staffDoor({ methods: ["GET", "POST"] }, async (request, { supabaseAdmin }) => {
    const rpc = rpcOf(supabaseAdmin);
    if (request.method === "GET") return await answerReport(rpc, request);
    return await performCoherence(rpc, await readBody(request, CoherenceRequest));
  }),
};
