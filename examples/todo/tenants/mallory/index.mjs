// Mallory's extension means no good: it never comes back. Sublet ends it; nobody else notices.
export const handler = async () => {
  for (;;);
};
