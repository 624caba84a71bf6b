// Globex's extension: scores urgency with the helper from the operator's layer.
const { weigh } = require('todo-kit');

exports.handler = async (event) => {
  const { score, because } = weigh(event.detail.title);
  console.log('urgency', score, because);
  return { urgency: score, because };
};
