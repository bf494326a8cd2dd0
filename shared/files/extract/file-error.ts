import { AccordError } from "../../platform/errors.ts";

export type FileErrorCode =
  | "empty"
  | "encrypted"
  | "damaged"
  | "image_only"
  | "unsupported_type"
  | "zip_bomb"
  | "too_large"
  | "too_deep";

/**
 * A file that no other attempt will read either. The message stays in the queue row, beside the path, for whoever
 * uploaded it: what is wrong, and what to upload instead.
 */
export class FileError extends AccordError {
  override readonly name = "FileError";
  declare readonly code: FileErrorCode;

  constructor(code: FileErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, { status: 422, ...options });
  }
}
