/** Words that say nothing of a text's subject, accents folded; elided articles and the like are words by themselves. */
const ENGLISH = `
  a about after all also am an and any are as at be because been before being but by can cannot could d did didn do
  does doesn doing don for from get had has have having he her here him his how i if in into is isn it its just like ll
  m me more most my no nor not of on once only or other our out over own please re s same she should so some such t than
  that the their them then there these they this those through to too under up use using ve very want was way we were
  what when where which while who whom why will with would you your`;

const FRENCH = `
  a ai as au aux avec avoir c ca car ce cela ces cet cette ceux chez comme comment d dans de des donc dont du elle elles
  en entre es est et etait etc ete etre eu fait faire faut il ils j je jusqu l la le les leur leurs lorsqu lui m ma mais
  me meme mes moi mon n ne ni nos notre nous on ont ou par pas peu peut peux plus pour pourquoi puis puisqu qu quand que
  quel quelle quelles quels qui quoi s sa sans se sera ses si soit son sont sous sur t ta te tes toi ton tous tout toute
  toutes tu un une vers vos votre vous y`;

export const STOP_WORDS: ReadonlySet<string> = new Set(`${ENGLISH} ${FRENCH}`.trim().split(/\s+/));
