export const handler = async (event, context) => {
  console.log("hello from", context.tenantId);
  return { greeting: `hello ${event.detail.name}`, left_ms: context.getRemainingTimeInMillis() };
};
