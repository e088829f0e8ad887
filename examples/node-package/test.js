const assert = require('assert');
const age = require('./age');

assert.strictEqual(age(0, 60000), '1 minute ago');
assert.strictEqual(age(0, 2 * 24 * 3600 * 1000), '2 days ago');
console.log('ok');
