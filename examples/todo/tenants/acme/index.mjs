// Acme's extension: finds a due date and tags in the title of a new item.
import { findDate } from './dates.mjs';

export const handler = async (event, context) => {
  const { title, created } = event.detail;
  const tags = [...title.matchAll(/#(\w+)/g)].map((match) => match[1].toLowerCase());
  const due = findDate(title, new Date(created));
  console.log(`item ${event.id}: due ${due ?? 'never'}, tags ${tags.join(', ') || 'none'}`);
  return { due, tags };
};
