/** Time as the logic sees it, so that a test can make it pass. */
export interface Clock {
  /** Milliseconds; only differences mean anything. */
  now(): number;
  wait(milliseconds: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};
