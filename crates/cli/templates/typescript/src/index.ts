import type { Context, Event } from "./sublet.ts";

interface SignedUp {
  name: string;
}

export const handler = async (event: Event<SignedUp>, context: Context) => {
  console.log("hello from", context.tenantId);
  return { greeting: `hello ${event.detail.name}`, left_ms: context.getRemainingTimeInMillis() };
};
