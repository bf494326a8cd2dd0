/** What a script may rely on; the same for every command. */
export const EXIT = { agree: 0, error: 1, differences: 2, refused: 3 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
