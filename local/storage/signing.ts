import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs } from "./body.ts";
import { findBucket } from "./bucket-rows.ts";
import { type Call, ownerOf } from "./call.ts";
import { mustBeValidBucketName, mustBeValidKey } from "./names.ts";
import { findObject } from "./object-rows.ts";
import { downloadUrl, uploadUrl } from "./signed-urls.ts";
import { mayWrite } from "./writing.ts";

const expiresIn = z.int(needs("integer")).min(1, "must be >= 1");
const oneUrl = z.object({ expiresIn });
const manyUrls = z.object({ expiresIn, paths: z.array(z.string(needs("string")), needs("array")) });

export async function signDownload(call: Call, bucket: string, key: string): Promise<Response> {
  const { expiresIn } = await jsonBody(call.request, oneUrl);
  mustBeValidBucketName(bucket);
  mustBeValidKey(key);
  await call.session.run((tx) => findObject(tx, bucket, key));
  return json({ signedURL: await downloadUrl(bucket, key, expiresIn) });
}

export async function signDownloads(call: Call, bucket: string): Promise<Response> {
  const { expiresIn, paths } = await jsonBody(call.request, manyUrls);
  mustBeValidBucketName(bucket);
  const visible = await call.session.run(async (tx) => {
    const { rows } = await tx.query<{ name: string }>(
      "select name from storage.objects where bucket_id = $1 and name = any($2)",
      [bucket, paths],
    );
    return new Set(rows.map(({ name }) => name));
  });
  return json(
    await Promise.all(
      paths.map(async (path) =>
        visible.has(path)
          ? { error: null, path, signedURL: await downloadUrl(bucket, path, expiresIn) }
          : { error: "Either the object does not exist or you do not have access to it", path, signedURL: null }
      ),
    ),
  );
}

export async function signUpload(call: Call, bucket: string, key: string): Promise<Response> {
  mustBeValidBucketName(bucket);
  mustBeValidKey(key);
  await call.session.service.run((tx) => findBucket(tx, bucket));
  const upsert = call.request.headers.get("x-upsert") === "true";
  const owner = ownerOf(call);
  await mayWrite(call.session, upsert, { bucket, key, owner });
  return json(await uploadUrl(bucket, key, { owner, upsert }));
}
