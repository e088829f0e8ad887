const ms = require('ms');

module.exports = (then, now = Date.now()) => ms(now - then, {long: true}) + ' ago';
