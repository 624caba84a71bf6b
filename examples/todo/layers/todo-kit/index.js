// The operator's layer: common code that every tenant's function may import by name.
const WORDS = { urgent: 5, asap: 5, now: 4, today: 3, important: 3, tomorrow: 2, soon: 1 };

/** A score of 0 to 10 for a title, and the words it rests on. */
exports.weigh = (title) => {
  const words = title.toLowerCase().split(/\W+/);
  const because = words.filter((word) => Object.hasOwn(WORDS, word));
  const shouting = title.endsWith('!') ? 2 : 0;
  const score = Math.min(10, because.reduce((sum, word) => sum + WORDS[word], shouting));
  return { score, because };
};
