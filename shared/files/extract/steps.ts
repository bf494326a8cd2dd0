import { cleanLine } from "./clean.ts";
import { refuseTooManyCharacters } from "./limits.ts";
import { withVotes } from "./locale.ts";
import { firstHeading } from "./markdown.ts";
import type { Budget, Part, Progress } from "./slice.ts";

/** A file that is read step by step: a page of a PDF, a stretch of a Word file. */
export interface Stepwise {
  /** Where there is no progress yet. */
  begin(): Progress;
  /** What is there; null where it is damaged, which is no reason to lose the others. */
  read(step: number): Promise<string | null>;
  hasPages: boolean;
}

/** Steps from where the last slice ended until the budget is spent, one at least. */
export async function readSteps(
  file: Stepwise,
  from: Progress | null,
  budget: Budget,
): Promise<{ parts: Part[]; progress: Progress; isRead: boolean }> {
  const progress: Progress = { ...from ?? file.begin() };
  const parts: Part[] = [];
  do {
    const content = await file.read(progress.page);
    if (content === null) progress.unreadablePages++;
    else if (content === "") progress.pagesWithoutText++;
    else {
      parts.push({ page: file.hasPages ? progress.page : null, content });
      progress.characters += content.length;
      progress.votes = withVotes(progress.votes, content);
      if (progress.page <= STEPS_WITH_TITLE) progress.title ??= cleanLine(firstHeading(content));
    }
    refuseTooManyCharacters(progress.characters);
    progress.page++;
  } while (progress.page <= progress.pages && !budget.isSpent());
  return { parts, progress, isRead: progress.page > progress.pages };
}

/** Where a heading is the title of the whole. */
const STEPS_WITH_TITLE = 2;

export function newProgress(pages: number, title: string | null): Progress {
  return { page: 1, pages, characters: 0, title, votes: {}, pagesWithoutText: 0, unreadablePages: 0 };
}
