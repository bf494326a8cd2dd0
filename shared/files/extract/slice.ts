/** A file as storage has it: what it is called, what it was said to be, and what it is. */
export interface SourceFile {
  name: string;
  mimeType: string | null;
  /** They are only read: the same file may be given again for its next slice. */
  bytes: Uint8Array;
}

/** Text of a file, of one page where the format has pages. */
export interface Part {
  page: number | null;
  content: string;
}

/** Where a file is to be read on, and what is known of it so far: JSON, which waits in the queue row between slices. */
export type Progress = {
  /** The page that comes next, counted from 1; a Word file is read in steps that are counted like pages. */
  page: number;
  pages: number;
  characters: number;
  title: string | null;
  /** How often words of each language were seen. */
  votes: Record<string, number>;
  pagesWithoutText: number;
  unreadablePages: number;
};

export interface Slice {
  parts: Part[];
  /** Where to go on; null when the whole file is read. */
  next: Progress | null;
  /** As far as the file is read. */
  title: string | null;
  /** Of the form `fr` or `fr-CA`; null where neither the file nor its text tells. */
  locale: string | null;
  /** Of what the bytes are, whatever the upload said. */
  mimeType: string;
  metadata: Record<string, unknown>;
}

/** What a call may spend; asked after each page. */
export interface Budget {
  isSpent(): boolean;
}

/** What a reader of one format makes of a whole file. */
export interface Reading {
  content: string;
  title: string | null;
  /** As the file declares it, in whatever form. */
  language: string | null;
  metadata: Record<string, unknown>;
}
