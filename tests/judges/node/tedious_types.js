// Values that a parameter of each type must bring back unchanged.
'use strict';

const { TYPES } = require('tedious');

const time = new Date(Date.UTC(1970, 0, 1, 13, 14, 15, 123));
const moment = new Date(Date.UTC(2026, 10, 22, 13, 14, 15, 123));
const legacy = new Date(Date.UTC(2026, 10, 22, 13, 14, 15, 120));
const minute = new Date(Date.UTC(2026, 10, 22, 13, 14));
const id = '6F9619FF-8B86-D011-B42D-00C04FC964FF';
const max = { length: Infinity };

/** Name, type, value, options, and what comes back if it is not the value itself. */
const parameterTypes = [
  ['bit', TYPES.Bit, true],
  ['bit, 0', TYPES.Bit, false],
  ['tinyint', TYPES.TinyInt, 255],
  ['smallint', TYPES.SmallInt, -32768],
  ['int', TYPES.Int, -2147483648],
  ['bigint', TYPES.BigInt, '9223372036854775807'],
  ['decimal', TYPES.Decimal, -12345.6789, { precision: 18, scale: 4 }],
  ['numeric', TYPES.Numeric, 0.5, { precision: 38, scale: 10 }],
  ['real', TYPES.Real, 0.5],
  ['float', TYPES.Float, -1.7976931348623157e308],
  ['smallmoney', TYPES.SmallMoney, -214748.3648],
  ['money', TYPES.Money, 922337203.6854],
  ['char', TYPES.Char, 'ab', { length: 4 }, 'ab  '],
  ['varchar', TYPES.VarChar, 'naïve €'],
  ['varchar, empty', TYPES.VarChar, ''],
  ['varchar(max)', TYPES.VarChar, 'x'.repeat(9000), max],
  ['nchar', TYPES.NChar, 'ñ', { length: 3 }, 'ñ  '],
  ['nvarchar', TYPES.NVarChar, '日本 🙂'],
  ['nvarchar(max)', TYPES.NVarChar, 'ä'.repeat(5000), max],
  ['text', TYPES.Text, 'text'],
  ['ntext', TYPES.NText, 'ntext ñ'],
  ['binary', TYPES.Binary, Buffer.from([1, 2, 0, 3]), { length: 4 }],
  ['varbinary', TYPES.VarBinary, Buffer.from([0, 255])],
  ['varbinary(max)', TYPES.VarBinary, Buffer.alloc(9000, 7), max],
  ['image', TYPES.Image, Buffer.from([9, 8, 7])],
  ['uniqueidentifier', TYPES.UniqueIdentifier, id],
  ['date', TYPES.Date, new Date(Date.UTC(2026, 10, 22))],
  ['date, first', TYPES.Date, new Date('0001-01-01T00:00:00Z')],
  ['time', TYPES.Time, time, { scale: 7 }],
  ['smalldatetime', TYPES.SmallDateTime, minute],
  ['datetime', TYPES.DateTime, legacy],
  ['datetime2', TYPES.DateTime2, moment, { scale: 7 }],
  ['datetimeoffset', TYPES.DateTimeOffset, moment, { scale: 3 }],
];

module.exports = { parameterTypes };
