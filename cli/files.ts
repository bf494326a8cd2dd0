import { z } from "zod";
import { BucketStatus } from "../shared/files/status.ts";
import { AccordError } from "../shared/platform/errors.ts";
import type { Project } from "./project.ts";

/** PostgREST's code where there is no such view. */
const NO_SUCH_VIEW = "PGRST205";

/** The watched buckets; null in a project that has left this capability out. */
export async function readFilesStatus(project: Project): Promise<BucketStatus[] | null> {
  try {
    return z.array(BucketStatus).parse(await project.rows("files_sync_status"));
  } catch (error) {
    if (error instanceof AccordError && error.code === NO_SUCH_VIEW) return null;
    throw error;
  }
}
