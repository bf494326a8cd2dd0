import * as buckets from "./buckets.ts";
import type { Call } from "./call.ts";
import * as downloads from "./downloads.ts";
import { StorageError } from "./errors.ts";
import { list } from "./listing.ts";
import { listV2 } from "./listing-v2.ts";
import { copy, move } from "./moving.ts";
import { removeMany, removeOne } from "./removal.ts";
import { signDownload, signDownloads, signUpload } from "./signing.ts";
import { overwrite, upload, uploadToSignedUrl } from "./uploads.ts";

/**
 * Who gets in: `token` asks for a bearer token that holds, `anyone` takes one and does without,
 * `open` looks at none (the path or its own token decides).
 */
export type Access = "token" | "anyone" | "open";

export interface Route {
  method: string;
  /** The path after `/storage/v1`; its groups are the bucket and the key, still encoded. */
  path: RegExp;
  access: Access;
  /** What `storage.operation()` says in policies. */
  operation: string;
  answer: (call: Call, bucket: string, key: string) => Response | Promise<Response>;
}

/** In the order in which they are tried: the words of the API come before the names of buckets. */
export const ROUTES: Route[] = [
  route("GET /status", "open", "storage.status", () => new Response(null)),

  route("POST /bucket", "token", "storage.bucket.create", buckets.create),
  route("GET /bucket", "token", "storage.bucket.list", buckets.list),
  route("GET /bucket/:bucket", "token", "storage.bucket.get", buckets.get),
  route("PUT /bucket/:bucket", "token", "storage.bucket.update", buckets.update),
  route("POST /bucket/:bucket/empty", "token", "storage.bucket.empty", buckets.empty),
  route("DELETE /bucket/:bucket", "token", "storage.bucket.delete", buckets.remove),

  route("POST /object/list/:bucket", "token", "storage.object.list", list),
  route("POST /object/list-v2/:bucket", "token", "storage.object.list_v2", listV2),
  route("POST /object/move", "token", "storage.object.move", move),
  route("POST /object/copy", "token", "storage.object.copy", copy),

  route("POST /object/sign/:bucket", "token", "storage.object.sign_many", signDownloads),
  route("POST /object/sign/:bucket/*", "token", "storage.object.sign", signDownload),
  route("GET /object/sign/:bucket/*", "open", "storage.object.get_signed", downloads.downloadSigned),
  route("POST /object/upload/sign/:bucket/*", "token", "storage.object.sign_upload_url", signUpload),
  route("PUT /object/upload/sign/:bucket/*", "open", "storage.object.upload_signed", uploadToSignedUrl),

  route("GET /object/public/:bucket/*", "open", "storage.object.get_public", downloads.downloadPublic),
  route("HEAD /object/public/:bucket/*", "open", "storage.object.info_public", downloads.headPublic),
  route("GET /object/info/public/:bucket/*", "open", "storage.object.info_public", downloads.infoPublic),
  route("GET /object/authenticated/:bucket/*", "token", "storage.object.get_authenticated", downloads.download),
  route("HEAD /object/authenticated/:bucket/*", "token", "storage.object.info_authenticated", downloads.head),
  route("GET /object/info/authenticated/:bucket/*", "token", "storage.object.info_authenticated", downloads.info),
  route("GET /object/info/:bucket/*", "anyone", "storage.object.info_authenticated", downloads.info),

  route("GET /object/:bucket/*", "anyone", "storage.object.get_authenticated", downloads.download),
  route("HEAD /object/:bucket/*", "anyone", "storage.object.info_authenticated", downloads.head),
  route("POST /object/:bucket/*", "token", "storage.object.upload", upload),
  route("PUT /object/:bucket/*", "token", "storage.object.upload_update", overwrite),
  route("DELETE /object/:bucket", "token", "storage.object.delete_many", removeMany),
  route("DELETE /object/:bucket/*", "token", "storage.object.delete", removeOne),

  ...["GET", "HEAD"].map((method) => route(`${method} /render/image/*`, "open", "storage.render.image", noImages)),
  ...["POST", "PATCH", "HEAD", "DELETE"].flatMap((method) =>
    ["", "/*"].map((rest) => route(`${method} /upload/resumable${rest}`, "open", "storage.tus.upload", noResumables))
  ),
];

/** In a line, `:bucket` stands for one segment and `*` for the rest of the path. */
function route(line: string, access: Access, operation: string, answer: Route["answer"]): Route {
  const [method = "", path = ""] = line.split(" ");
  const pattern = path.replace(":bucket", "([^/]+)").replace(/\*$/, "(.+)");
  return { method, path: new RegExp(`^${pattern}/?$`), access, operation, answer };
}

function noImages({ url, publicUrl }: Call): never {
  const original = url.pathname.replace("/render/image/", "/object/");
  throw notImplemented(`Images are not transformed here: ask for ${publicUrl}${original}, or leave out \`transform\``);
}

function noResumables({ publicUrl }: Call): never {
  throw notImplemented(
    "Resumable (TUS) uploads are not available here: " +
      `POST the whole file to ${publicUrl}/storage/v1/object/<bucket>/<key>`,
  );
}

function notImplemented(message: string): StorageError {
  return new StorageError(501, "FeatureNotEnabled", message, "FeatureNotEnabled");
}
