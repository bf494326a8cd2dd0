import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs, queryOf } from "./body.ts";
import {
  type BucketRow,
  type BucketSettings,
  createBucket,
  deleteBucket,
  findBucket,
  holdsObjects,
  listBuckets,
  updateBucket,
} from "./bucket-rows.ts";
import { type Call, ownerOf } from "./call.ts";
import { blobOf } from "./current.ts";
import { refusals } from "./errors.ts";
import { bucketSizeLimit, mustBeMimeTypes } from "./limits.ts";
import { mustBeValidBucketName } from "./names.ts";
import type { ObjectRow } from "./object-rows.ts";

const settingsShape = z.object({
  public: z.boolean(needs("boolean")).optional(),
  file_size_limit: z.union([z.int().min(0), z.string()], needs("integer")).nullish(),
  allowed_mime_types: z.array(z.string(needs("string")), needs("array")).nullish(),
});
const newBucketShape = settingsShape.extend({
  name: z.string(needs("string")),
  id: z.string(needs("string")).optional(),
  type: z.string(needs("string")).nullish(),
});
const pageShape = z.object({
  limit: z.coerce.number().int("must be integer").min(1, "must be >= 1").optional(),
  offset: z.coerce.number().int("must be integer").min(0, "must be >= 0").optional(),
  search: z.string().optional(),
  sortColumn: z.enum(["id", "name", "created_at", "updated_at"], "must be equal to one of the allowed values")
    .optional(),
  sortOrder: z.enum(["asc", "desc"], "must be equal to one of the allowed values").optional(),
});

export async function create(call: Call): Promise<Response> {
  const { id, name, type, ...settings } = await jsonBody(call.request, newBucketShape);
  if ((type ?? "STANDARD") !== "STANDARD") {
    throw refusals.notAvailable(`Buckets of type ${type} are not available in the embedded stack: leave out \`type\``);
  }
  mustBeValidBucketName(name);
  const bucket = { id: id ?? name, name, owner: ownerOf(call) };
  await call.session.run((tx) => createBucket(tx, bucket, checked(settings)));
  return json({ name: bucket.id });
}

export async function list(call: Call): Promise<Response> {
  const page = queryOf(call.request, pageShape);
  const rows = await call.session.run((tx) => listBuckets(tx, page));
  return json(rows.map((row) => ({ ...shown(row), type: row.type })));
}

export async function get(call: Call, id: string): Promise<Response> {
  return json(shown(await call.session.run((tx) => findBucket(tx, id))));
}

export async function update(call: Call, id: string): Promise<Response> {
  const settings = checked(await jsonBody(call.request, settingsShape));
  mustBeValidBucketName(id);
  await call.session.run((tx) => updateBucket(tx, id, settings));
  return json({ message: "Successfully updated" });
}

/** The storage server queues this and may take an hour; here all is gone when the answer comes. */
export async function empty(call: Call, id: string): Promise<Response> {
  if (call.session.caller.role !== "service_role") throw refusals.accessDenied("Access denied: Invalid role");
  const deleted = await call.session.run(async (tx) => {
    await findBucket(tx, id);
    return (await tx.query<ObjectRow>("delete from storage.objects where bucket_id = $1 returning *", [id])).rows;
  });
  await call.blobs.discard(deleted.map(blobOf));
  return json({ message: "Empty bucket has been queued. Completion may take up to an hour." });
}

export async function remove(call: Call, id: string): Promise<Response> {
  await call.session.service.run(async (tx) => {
    await findBucket(tx, id, "for update");
    if (await holdsObjects(tx, id)) throw refusals.bucketNotEmpty();
    await call.session.takeOver(tx);
    await deleteBucket(tx, id);
  });
  return json({ message: "Successfully deleted" });
}

function checked(
  { file_size_limit: limit, allowed_mime_types, ...rest }: z.infer<typeof settingsShape>,
): BucketSettings {
  const types = allowed_mime_types?.filter((type) => type !== "");
  if (types !== undefined) mustBeMimeTypes(types);
  return {
    ...rest,
    file_size_limit: typeof limit === "number" || typeof limit === "string" ? bucketSizeLimit(limit) : limit,
    allowed_mime_types: allowed_mime_types === null ? null : types,
  };
}

function shown(row: BucketRow): object {
  const { id, name, owner, public: isPublic, file_size_limit, allowed_mime_types, created_at, updated_at } = row;
  return {
    id,
    name,
    owner: owner ?? "",
    public: isPublic,
    file_size_limit: file_size_limit === null ? null : Number(file_size_limit),
    allowed_mime_types,
    created_at,
    updated_at,
  };
}
