// tedious, told to speak an old version of TDS. What does not depend on the version is judged by
// tedious_judge.js, which is told the version, too.
'use strict';

const { deepStrictEqual: same, match, ok } = require('node:assert');
const { createHash } = require('node:crypto');
const { TYPES } = require('tedious');
const { version } = require('tedious/package.json');
const { feature, run } = require('./judge.js');
const { batch, call, connect, connected, emulator, password, rejection, rows, send, tdsVersion } = require('./tedious_client.js');
const { parameterTypes } = require('./tedious_types.js');

/** No types for dates and times but datetime and smalldatetime. */
const withoutDates = tdsVersion < '7_3';
/** No (max) types. */
const withoutMax = tdsVersion < '7_2';
/** The same in a session of TDS 7.4. */
const newer = (use) => connected(use, password, { tdsVersion: '7_4' });

const DATES = /^(date|time|datetime2|datetimeoffset)(\(|$)/;

feature('The version that was asked for', async () => {
  await connected(async (connection) => same(connection.config.options.tdsVersion, tdsVersion));
});

feature('Every type, with NULL, extremes and odd values', async () => {
  const sql = 'SELECT * FROM dbo.every_type ORDER BY id';
  const old = await connected((connection) => rows(connection, sql));
  const now = await newer((connection) => rows(connection, sql));
  same([old.length, now.length], [emulator.types[0].values.length, old.length]);
  const faults = [];
  emulator.types.forEach(({ type, values }, column) => {
    values.forEach((text, row) => {
      const [got, reference] = [old[row][column + 1], now[row][column + 1]];
      const expected = text !== null && withoutDates && DATES.test(type) ? text : reference;
      try {
        same(got, expected);
        same(got === null, text === null);
        if (typeof got === 'string' && !/char|text/.test(type)) same(got.toUpperCase(), text.toUpperCase());
        if (typeof got === 'string' && /char|text/.test(type)) same(got, text);
        if (Buffer.isBuffer(got)) same(got.toString('hex').toUpperCase(), text.toUpperCase());
      } catch (error) {
        faults.push(`${type}, row ${row}: ${String(got).slice(0, 80)}, not ${String(expected).slice(0, 80)}`);
      }
    });
  });
  same(faults, []);
});

feature('Values as of expressions, and their types', async () => {
  const sql = `SELECT CAST('2026-11-22' AS date), CAST('13:14:15.1234567' AS time(7)), CAST('2026-11-22 13:14:15' AS datetime2(0)),
    CAST('2026-11-22 13:14:15.5 -03:30' AS datetimeoffset(1)), CAST(N'ä' AS nvarchar(max)), CAST('b' AS varchar(max)),
    CAST(0x0102 AS varbinary(max)), CAST(NULL AS date), CAST(NULL AS nvarchar(max)), CAST(N'' AS nvarchar(max))`;
  await connected(async (connection) => {
    const { results } = await send(connection, sql, { method: 'execSqlBatch' });
    const types = results[0].columns.map((column) => column.type.name);
    if (withoutDates) same(types.slice(0, 4), ['NVarChar', 'NVarChar', 'NVarChar', 'NVarChar']);
    else same(types.slice(0, 4), ['Date', 'Time', 'DateTime2', 'DateTimeOffset']);
    if (withoutMax) same(types.slice(4), ['NText', 'Text', 'Image', 'NVarChar', 'NText', 'NText']);
    else same(types.slice(4, 7), ['NVarChar', 'VarChar', 'VarBinary']);
    if (withoutDates) {
      same(results[0].columns.slice(0, 4).map((column) => column.dataLength), [20, 32, 38, 56]);
      same(results[0].rows[0].slice(0, 4), ['2026-11-22', '13:14:15.1234567', '2026-11-22 13:14:15', '2026-11-22 13:14:15.5 -03:30']);
    }
    same(results[0].rows[0].slice(4), ['ä', 'b', Buffer.from([1, 2]), null, null, '']);
  });
});

/** What a parameter comes back as: dates as text where the version has no type for them. */
function back(name, expected) {
  if (!withoutDates || !(expected instanceof Date)) return expected;
  const iso = expected.toISOString();
  if (/^date(,|$)/.test(name)) return iso.slice(0, 10);
  if (name === 'time') return `${iso.slice(11, 23)}0000`;
  if (name === 'datetime2') return `${iso.slice(0, 10)} ${iso.slice(11, 23)}0000`;
  if (name === 'datetimeoffset') return new RegExp(`^....-..-.. ..:..:..\\.123 [+-]..:..$`);
  return expected;
}

/** What tedious sends at TDS 7.1 although that version has no such types: 2005's and 2008's. */
const newerTypes = /\(max\)|^date(,|$)|^time$|^datetime2$|^datetimeoffset$/;

feature('Parameters of every type that the version has', async () => {
  await connected(async (connection) => {
    const faults = [];
    for (const [name, type, value, options, expected = value] of parameterTypes) {
      if (withoutMax && newerTypes.test(name)) continue;
      for (const [given, wanted] of [[value, back(name, expected)], [null, null]]) {
        try {
          const prepare = (request) => request.addParameter('p', type, given, options);
          const sql = 'SELECT @p AS p, CASE WHEN @p IS NULL THEN 1 ELSE 0 END AS n';
          const { results } = await send(connection, sql, { prepare });
          const [[p, n]] = results[0].rows;
          if (wanted instanceof RegExp) match(p, wanted);
          else same(p, wanted);
          same(n, given === null ? 1 : 0);
        } catch (error) {
          faults.push(`${name}, ${given === null ? 'NULL' : 'a value'}: ${error.message}`);
        }
      }
    }
    same(faults, []);
  });
});

if (withoutMax) {
  // SQL Server 2000 would know none of these; its successors take what they know.
  feature('Parameters of types that the version lacks', async () => {
    await connected(async (connection) => {
      for (const [name, type, value, options, expected = value] of parameterTypes) {
        if (!newerTypes.test(name)) continue;
        const prepare = (request) => request.addParameter('p', type, value, options);
        const answer = await send(connection, 'SELECT @p AS p', { prepare });
        const wanted = back(name, expected);
        const [[got]] = answer.results[0].rows;
        const through = (request) => {
          request.addParameter('p', type, value, options);
          request.addOutputParameter('o', type, null, options);
          request.addOutputParameter('n', type, null, options);
        };
        const { outputs } = await send(connection, 'SET @o = @p', { prepare: through });
        same(outputs.n, null, `${name}, NULL`);
        for (const back of [got, outputs.o]) {
          if (wanted instanceof RegExp) match(back, wanted);
          else same(back, wanted, name);
        }
      }
    });
  });
}

feature('Output parameters of every type that the version has', async () => {
  await connected(async (connection) => {
    const faults = [];
    for (const [name, type, value, options, expected = value] of parameterTypes) {
      if (/^(text|ntext|image)$/.test(name) || (withoutMax && newerTypes.test(name))) continue;
      for (const [given, wanted] of [[value, back(name, expected)], [null, null]]) {
        try {
          const prepare = (request) => {
            request.addParameter('p', type, given, options);
            request.addOutputParameter('o', type, null, options);
          };
          const { outputs, status } = await send(connection, 'SET @o = @p', { prepare });
          if (wanted instanceof RegExp) match(outputs.o, wanted);
          // Of a value without a length it declares one that fits NULL, the longest.
          else if (typeof wanted === 'string') same(outputs.o.trimEnd(), wanted.trimEnd());
          else same(outputs.o, wanted);
          same(status, 0);
        } catch (error) {
          faults.push(`${name}, ${given === null ? 'NULL' : 'a value'}: ${error.message}`);
        }
      }
    }
    same(faults, []);
  });
});

feature('Return status of a procedure', async () => {
  await connected(async (connection) => {
    const lock = (request) => {
      request.addParameter('Resource', TYPES.NVarChar, 'r');
      request.addParameter('LockMode', TYPES.VarChar, 'Exclusive');
      request.addParameter('LockOwner', TYPES.VarChar, 'Session');
      request.addParameter('LockTimeout', TYPES.Int, 0);
    };
    const get = async (on) => (await send(on, 'sp_getapplock', { prepare: lock, method: 'callProcedure' })).status;
    same(await get(connection), 0);
    await connected(async (other) => same(await get(other), -1));
  });
});

feature('Numbers of lines beyond 16 bits', async () => {
  await connected(async (connection) => {
    const error = await rejection(batch(connection, `${'\n'.repeat(70_000)}RAISERROR('far', 16, 7)`));
    same([error.number, error.state, error.message], [50000, 7, 'far']);
    same(error.lineNumber, withoutMax ? 65535 : 70001);
    same(await rows(connection, 'SELECT 1'), [[1]]);
  });
});

feature('1 MB each way', async () => {
  await connected(async (connection) => {
    const text = 'äx🙂'.repeat(300_000);
    const narrow = 'naïve €'.repeat(150_000);
    const bytes = Buffer.alloc(1_200_000, 'entrada');
    const prepare = (request) => {
      request.addParameter('w', TYPES.NText, text);
      request.addParameter('t', TYPES.Text, narrow);
      request.addParameter('b', TYPES.Image, bytes);
    };
    await batch(connection, 'CREATE TABLE #l (w nvarchar(max), t varchar(max), b varbinary(max), w2 ntext, t2 text, b2 image)');
    await send(connection, 'INSERT #l VALUES (@w, @t, @b, @w, @t, @b)', { prepare });
    const sql = 'SELECT w, t, b, w2, t2, b2, DATALENGTH(w) AS l, DATALENGTH(b2) AS m FROM #l';
    const [[w, t, b, w2, t2, b2, l, m]] = await rows(connection, sql);
    same([w === text, t === narrow, b.equals(bytes), w2 === text, t2 === narrow, b2.equals(bytes)], Array(6).fill(true));
    same([l, m].map(Number), [text.length * 2, bytes.length]);
  });
});

feature('50 MB, by checksum', async () => {
  await connected(async (connection) => {
    const [got, wanted] = [createHash('sha256'), createHash('sha256')];
    let count = 0;
    await send(connection, "SELECT n, REPLICATE(CHAR(97 + n % 26), 8000), CASE WHEN n % 50 = 0 THEN REPLICATE(CAST(N'ж' AS nvarchar(max)), 131072) END FROM dbo.numbers WHERE n < 4000 ORDER BY n", {
      method: 'execSqlBatch',
      onRow([n, text, long]) {
        count += 1;
        got.update(`${n.value}${text.value}${long.value ?? '-'}`);
      },
    });
    for (let n = 0; n < 4000; n++) {
      wanted.update(`${n}${String.fromCharCode(97 + (n % 26)).repeat(8000)}${n % 50 === 0 ? 'ж'.repeat(131072) : '-'}`);
    }
    same([count, got.digest('hex')], [4000, wanted.digest('hex')]);
  });
});

const BULK = [
  ['int', TYPES.Int, -2147483648], ['bigint', TYPES.BigInt, '9223372036854775807'], ['smallint', TYPES.SmallInt, -1],
  ['tinyint', TYPES.TinyInt, 200], ['bit', TYPES.Bit, true], ['float', TYPES.Float, 0.1], ['real', TYPES.Real, 0.5],
  ['decimal(18,4)', TYPES.Decimal, -12345.6789, { precision: 18, scale: 4 }], ['money', TYPES.Money, 922337203.6854],
  ['smallmoney', TYPES.SmallMoney, -214748.3648],
  ['datetime', TYPES.DateTime, new Date(Date.UTC(2026, 10, 22, 13, 14, 15, 120))],
  ['smalldatetime', TYPES.SmallDateTime, new Date(Date.UTC(2026, 10, 22, 13, 14))],
  ['uniqueidentifier', TYPES.UniqueIdentifier, '6F9619FF-8B86-D011-B42D-00C04FC964FF'],
  ['varchar(50)', TYPES.VarChar, 'naïve €', { length: 50 }], ['nvarchar(50)', TYPES.NVarChar, '日本 🙂', { length: 50 }],
  ['char(4)', TYPES.Char, 'ab  ', { length: 4 }], ['nchar(3)', TYPES.NChar, 'ñ  ', { length: 3 }],
  ['binary(4)', TYPES.Binary, Buffer.from([1, 2, 0, 3]), { length: 4 }],
  ['varbinary(50)', TYPES.VarBinary, Buffer.from([0, 255]), { length: 50 }],
  ['text', TYPES.Text, 't'.repeat(9000)], ['ntext', TYPES.NText, 'ж'.repeat(9000)], ['image', TYPES.Image, Buffer.alloc(9000, 1)],
];
if (!withoutMax) {
  const max = { length: Infinity };
  BULK.push(
    ['varchar(max)', TYPES.VarChar, 't'.repeat(9000), max], ['nvarchar(max)', TYPES.NVarChar, 'ж'.repeat(9000), max],
    ['varbinary(max)', TYPES.VarBinary, Buffer.alloc(9000, 1), max],
  );
}
if (!withoutDates) {
  BULK.push(
    ['date', TYPES.Date, new Date('0001-01-01T00:00:00Z')], ['time(7)', TYPES.Time, new Date(Date.UTC(1970, 0, 1, 13, 14, 15, 123)), { scale: 7 }],
    ['datetime2(3)', TYPES.DateTime2, new Date(Date.UTC(2026, 10, 22, 13, 14, 15, 123)), { scale: 3 }],
    ['datetimeoffset(3)', TYPES.DateTimeOffset, new Date(Date.UTC(2026, 10, 22, 13, 14, 15, 123)), { scale: 3 }],
  );
}

feature('Bulk load of every type that the version has', async () => {
  await connected(async (connection) => {
    const names = BULK.map((_, n) => `c${n}`);
    await batch(connection, `CREATE TABLE #b (id int NOT NULL, ${BULK.map(([type], n) => `c${n} ${type} NULL`).join(', ')})`);
    const full = BULK.map(([, , value]) => value);
    const data = Array.from({ length: 300 }, (_, n) => [n, ...(n % 3 === 0 ? full.map(() => null) : full)]);
    const count = await load(connection, '#b', (bulk) => {
      bulk.addColumn('id', TYPES.Int, { nullable: false });
      BULK.forEach(([, type, , options], n) => bulk.addColumn(names[n], type, { nullable: true, ...options }));
    }, data);
    same(count, 300);
    same(await rows(connection, 'SELECT * FROM #b ORDER BY id'), data);
  });
});

feature('Bulk load of 20,000 rows', async () => {
  await connected(async (connection) => {
    await batch(connection, 'CREATE TABLE #m (id int NOT NULL, name nvarchar(50) NULL, price float NULL)');
    const data = Array.from({ length: 20_000 }, (_, n) => [n, n % 7 === 0 ? null : `näme ${n}`, n / 4]);
    const count = await load(connection, '#m', (bulk) => {
      bulk.addColumn('id', TYPES.Int, { nullable: false });
      bulk.addColumn('name', TYPES.NVarChar, { length: 50, nullable: true });
      bulk.addColumn('price', TYPES.Float, { nullable: true });
    }, data);
    same(count, 20_000);
    const named = data.filter(([, name]) => name).length;
    const sum = data.reduce((total, row) => total + row[2], 0);
    same(await rows(connection, "SELECT COUNT(*), COUNT(name), SUM(price), MIN(name) FROM #m"), [[20_000, named, sum, 'näme 1']]);
  });
});

function load(connection, table, columns, data) {
  return new Promise((resolve, reject) => {
    const bulk = connection.newBulkLoad(table, (error, count) => (error ? reject(error) : resolve(count)));
    columns(bulk);
    connection.execBulkLoad(bulk, data);
  });
}

feature('Transactions by the driver, and what a transaction leaves behind', async () => {
  await connected(async (connection) => {
    await batch(connection, 'DROP TABLE IF EXISTS dbo.kept; CREATE TABLE dbo.kept (a int PRIMARY KEY)');
    await call(connection, 'beginTransaction');
    await batch(connection, 'INSERT dbo.kept VALUES (1)');
    const prepare = (request) => request.addParameter('a', TYPES.Int, 2);
    await send(connection, 'INSERT dbo.kept VALUES (@a)', { prepare });
    same(await rows(connection, 'SELECT @@TRANCOUNT'), [[1]]);
    await call(connection, 'commitTransaction');
    await call(connection, 'beginTransaction');
    await send(connection, 'INSERT dbo.kept VALUES (@a)', { prepare: (request) => request.addParameter('a', TYPES.Int, 3) });
    same((await rejection(batch(connection, 'INSERT dbo.kept VALUES (1)'))).number, 2627);
    await call(connection, 'rollbackTransaction');
    same(await rows(connection, 'SELECT a, @@TRANCOUNT FROM dbo.kept ORDER BY a'), [[1, 0], [2, 0]]);
    await call(connection, 'beginTransaction');
    await batch(connection, 'INSERT dbo.kept VALUES (4)');
  });
  await newer(async (connection) => same(await rows(connection, 'SELECT COUNT(*) FROM dbo.kept'), [[2]]));
});

feature('Cancel in the middle of rows with large values', async () => {
  await connected(async (connection) => {
    for (const at of [1, 50, 1000]) {
      let seen = 0;
      const sql = "SELECT a.n, REPLICATE(CAST(N'x' AS nvarchar(max)), 5000), CAST('2026-01-01' AS date), NULL FROM dbo.numbers AS a CROSS JOIN dbo.numbers AS b";
      const error = await rejection(send(connection, sql, {
        method: 'execSqlBatch',
        onRow() {
          seen += 1;
          if (seen === at) connection.cancel();
        },
      }));
      same(error.code, 'ECANCEL');
      ok(seen >= at && seen < 1_000_000, `${seen} rows came`);
      same(await rows(connection, 'SELECT @@TRANCOUNT, 5'), [[0, 5]]);
    }
  });
});

feature('Cancel while a request is sent', async () => {
  await connected(async (connection) => {
    const pending = send(connection, 'SELECT LEN(@b)', {
      prepare: (request) => request.addParameter('b', TYPES.Image, Buffer.alloc(4_000_000, 1)),
    });
    setImmediate(() => connection.cancel());
    const error = await rejection(pending);
    same(error.code, 'ECANCEL');
    same(await rows(connection, 'SELECT 6'), [[6]]);
  });
});

feature('Sessions side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, (_, number) => connected(async (connection) => {
    await batch(connection, 'CREATE TABLE #mine (n int, t nvarchar(max))');
    await call(connection, 'beginTransaction');
    for (let n = 0; n < 5; n++) {
      const prepare = (request) => {
        request.addParameter('n', TYPES.Int, n);
        request.addParameter('t', TYPES.NText, `${number} ${'x'.repeat(n * 5000)}`);
      };
      await send(connection, 'INSERT #mine VALUES (@n, @t)', { prepare });
    }
    await call(connection, 'commitTransaction');
    const wanted = Array.from({ length: 5 }, (_, n) => [n, `${number} ${'x'.repeat(n * 5000)}`]);
    same(await rows(connection, 'SELECT n, t FROM #mine ORDER BY n'), wanted);
  })));
});

feature('Packet sizes 512, 4096, 8192 and 32767', async () => {
  for (const packetSize of [512, 4096, 8192, 32767]) {
    await connected(async (connection) => {
      const text = 'ä'.repeat(60_000);
      const prepare = (request) => request.addParameter('t', TYPES.NText, text);
      const { results } = await send(connection, `SELECT @t AS t, '${'x'.repeat(20_000)}' AS x`, { prepare });
      same(results[0].rows, [[text, 'x'.repeat(20_000)]]);
    }, password, { packetSize });
  }
});

run(version);
