// tedious, unmodified, against the emulator.
'use strict';

const { deepStrictEqual: same, match, ok } = require('node:assert');
const { ISOLATION_LEVEL, Request, TYPES } = require('tedious');
const { version } = require('tedious/package.json');
const { feature, run } = require('./judge.js');
const {
  batch, call, collect, connect, connected, emulator, encrypt, password, rejection, rows, send,
} = require('./tedious_client.js');
const { parameterTypes } = require('./tedious_types.js');

const [system, user] = emulator.identities;
const token = (text) => ({
  type: 'azure-active-directory-access-token',
  options: { token: text },
});

async function whoAmI(authentication, options) {
  const sql = 'SELECT USER_NAME(), DB_NAME()';
  return connected((connection) => rows(connection, sql), authentication, options);
}

function managedIdentity(type, name) {
  feature(`${name}: system-assigned identity`, async () => {
    same(await whoAmI({ type, options: {} }), [[system.name, 'demo']]);
  });
  feature(`${name}: user-assigned identity by client id`, async () => {
    same(await whoAmI({ type, options: { clientId: user.client_id } }), [[user.name, 'demo']]);
  });
  feature(`${name}: an identity that is not assigned`, async () => {
    const clientId = '00000000-0000-0000-0000-00000000dead';
    const error = await rejection(connect({ type, options: { clientId } }));
    match(error.errors?.[0]?.message ?? error.message, /could not be authenticated/);
  });
}

function logins() {
  feature('SQL login', async () => same(await whoAmI(password), [[emulator.user_name, 'demo']]));
  feature('Access token', async () => {
    same(await whoAmI(token(emulator.token)), [[system.name, 'demo']]);
  });
  feature('Access token over TDS 8.0', async () => {
    same(await whoAmI(token(emulator.token), { encrypt: 'strict' }), [[system.name, 'demo']]);
  });
  feature('SQL login over TDS 8.0', async () => {
    same(await whoAmI(password, { encrypt: 'strict' }), [['dbo', 'demo']]);
  });
  feature('Packet sizes 512 and 32767', async () => {
    for (const packetSize of [512, 32767]) {
      const text = await connected(
        (connection) => rows(connection, `SELECT REPLICATE(CAST(N'ä' AS nvarchar(max)), 20000), '${'x'.repeat(20000)}'`),
        password,
        { packetSize },
      );
      same(text, [['ä'.repeat(20000), 'x'.repeat(20000)]]);
    }
  });
  feature('Application name and workstation', async () => {
    const names = await connected(
      (connection) => rows(connection, 'SELECT APP_NAME(), HOST_NAME()'),
      password,
      { appName: 'judge', workstationId: 'bench' },
    );
    same(names, [['judge', 'bench']]);
  });
  feature('A new connection again and again', async () => {
    for (let i = 0; i < 10; i++) {
      await connected(async (connection) => {
        const state = "SELECT OBJECT_ID('tempdb..#mine'), @@LOCK_TIMEOUT, @@TRANCOUNT";
        same(await rows(connection, state), [[null, -1, 0]]);
        await batch(connection, 'CREATE TABLE #mine (id int); SET LOCK_TIMEOUT 4321');
        same(await rows(connection, 'SELECT @@LOCK_TIMEOUT'), [[4321]]);
      });
    }
  });
  feature('A certificate of an unknown authority', async () => {
    for (const mode of emulator.proxy ? [encrypt] : [true, 'strict']) {
      const error = await rejection(connect(password, { encrypt: mode, cryptoCredentialsDetails: {} }));
      match(error.message, /certificate/);
    }
  });
  feature('A wrong password', async () => {
    const wrong = { type: 'default', options: { userName: emulator.user, password: 'wrong' } };
    const error = await rejection(connect(wrong));
    same([error.code, error.message], ['ELOGIN', `Login failed for user '${emulator.user}'.`]);
  });
  feature('A token that has expired, and one of another audience', async () => {
    for (const text of [emulator.expired_token, emulator.foreign_token]) {
      const error = await rejection(connect(token(text)));
      same(error.code, 'ELOGIN');
      match(error.message, /^Login failed for user '<token-identified principal>'/);
    }
  });
  feature('A database that does not exist', async () => {
    const error = await rejection(connect(password, { database: 'nowhere' }));
    same(error.code, 'ELOGIN');
    match(error.message, /^Cannot open database "nowhere"/);
    same(error.told[0], 4060);
  });
  if (!emulator.proxy) return;
  feature('An identity without a user', async () => {
    const error = await rejection(connect());
    same([error.code, error.told], ['ELOGIN', [18456]]);
    match(error.message, /^Login failed for user .* refused the proxy's identity .* CREATE USER/s);
  });
}

function requests() {
  feature('Parameters of every type', async () => {
    await connected(async (connection) => {
      const faults = [];
      for (const [name, type, value, options, expected = value] of parameterTypes) {
        const prepare = (request) => request.addParameter('p', type, value, options);
        try {
          const answer = await send(connection, 'SELECT @p AS p, @p AS q', { prepare });
          same(answer.results.map((r) => r.rows), [[[expected, expected]]]);
        } catch (error) {
          faults.push(`${name}: ${error.message}`);
        }
      }
      same(faults, []);
    });
  });
  feature('NULL parameters of every type', async () => {
    await connected(async (connection) => {
      const faults = [];
      for (const [name, type, , options] of parameterTypes) {
        const prepare = (request) => request.addParameter('p', type, null, options);
        try {
          const answer = await send(connection, 'SELECT @p, CASE WHEN @p IS NULL THEN 1 END', { prepare });
          same(answer.results.map((r) => r.rows), [[[null, 1]]]);
        } catch (error) {
          faults.push(`${name}: ${error.message}`);
        }
      }
      same(faults, []);
    });
  });
  feature('Output parameters', async () => {
    await connected(async (connection) => {
      const prepare = (request) => {
        request.addParameter('a', TYPES.Int, 20);
        request.addOutputParameter('b', TYPES.BigInt);
        request.addOutputParameter('c', TYPES.NVarChar, 'in', { length: 50 });
        request.addOutputParameter('d', TYPES.Decimal, null, { precision: 9, scale: 2 });
      };
      const sql = "SET @b = @a * 2; SET @c = @c + N' and öut'; SET @d = 1.25";
      const { outputs, status } = await send(connection, sql, { prepare });
      same([outputs, status], [{ b: '40', c: 'in and öut', d: 1.25 }, 0]);
    });
  });
  feature('A system procedure by name', async () => {
    await connected(async (connection) => {
      const prepare = (request) => {
        request.addParameter('stmt', TYPES.NVarChar, 'SELECT @x + 1 AS y');
        request.addParameter('params', TYPES.NVarChar, '@x int');
        request.addParameter('x', TYPES.Int, 41);
      };
      const answer = await send(connection, 'sp_executesql', { prepare, method: 'callProcedure' });
      same(answer.results.map((r) => r.rows), [[[42]]]);
    });
  });
  feature('Prepared statements', async () => connected(prepared));
  feature('Several results of a batch', async () => {
    await connected(async (connection) => {
      const sql = "SELECT 1 AS a; SELECT 'x' AS b, N'y' AS c WHERE 1 = 0; DECLARE @n int = 3; SELECT @n AS d";
      const { results } = await batch(connection, sql);
      same(results.map((r) => r.rows), [[[1]], [], [[3]]]);
      same(results.map((r) => r.columns.map((c) => c.colName)), [['a'], ['b', 'c'], ['d']]);
    });
  });
  feature('Row counts', async () => {
    await connected(async (connection) => {
      await batch(connection, 'CREATE TABLE #t (a int)');
      same((await batch(connection, 'INSERT #t VALUES (1), (2), (3)')).count, 3);
      same((await batch(connection, 'UPDATE #t SET a = 5 WHERE a > 1')).count, 2);
      same((await batch(connection, 'SET NOCOUNT ON; DELETE #t')).count ?? 0, 0);
    });
  });
  feature('Messages of PRINT and RAISERROR', async () => {
    await connected(async (connection) => {
      connection.infos.length = 0;
      await batch(connection, "PRINT N'grüß'; RAISERROR('low %d', 5, 2, 7)");
      same(connection.infos.map((i) => [i.number, i.class, i.message]), [
        [0, 0, 'grüß'],
        [50000, 5, 'low 7'],
      ]);
    });
  });
  feature('Errors, after which the connection lives on', async () => connected(errors));
  feature('Large values', async () => {
    await connected(async (connection) => {
      const text = 'äx🙂'.repeat(300_000);
      const bytes = Buffer.alloc(1_000_000, 'entrada');
      const prepare = (request) => {
        request.addParameter('t', TYPES.NVarChar, text, { length: Infinity });
        request.addParameter('b', TYPES.VarBinary, bytes, { length: Infinity });
      };
      const sql = 'SELECT @t AS t, @b AS b, DATALENGTH(@t) AS l, DATALENGTH(@b) AS m';
      const { results } = await send(connection, sql, { prepare });
      const [t, b, ...lengths] = results[0].rows[0];
      ok(t === text && b.equals(bytes));
      same(lengths.map(Number), [text.length * 2, bytes.length]);
    });
  });
  feature('100,000 rows, streamed with pauses', async () => connected(stream));
  feature('Cancel in the middle of a result', async () => connected(cancel));
  feature('A request that takes too long is stopped', async () => {
    await connected(async (connection) => {
      await manyRows(connection);
      const slow = 'SELECT COUNT_BIG(*) FROM #n AS a CROSS JOIN #n AS b CROSS JOIN #n AS c WHERE a.n + b.n > c.n';
      const prepare = (request) => request.setTimeout(500);
      const error = await rejection(send(connection, slow, { prepare, method: 'execSqlBatch' }));
      same(error.code, 'ETIMEOUT');
      same(await rows(connection, 'SELECT 1'), [[1]]);
    });
  });
  feature('Table-valued parameters', async () => {
    await connected(async (connection) => {
      const table = { columns: [{ name: 'a', type: TYPES.Int }], rows: [[1]], name: 'dbo.Ints' };
      const prepare = (request) => request.addParameter('t', TYPES.TVP, table);
      const error = await rejection(send(connection, 'SELECT * FROM @t', { prepare }));
      ok(error.number > 0, String(error));
      match(error.message, /table-valued|user-defined table|Ints/i);
      same(await rows(connection, 'SELECT 1'), [[1]]);
    });
  });
}

async function prepared(connection) {
  const answers = [];
  const request = new Request('SELECT @a + 1 AS b, @s AS s', () => {});
  request.addParameter('a', TYPES.Int);
  request.addParameter('s', TYPES.NVarChar);
  await new Promise((resolve, reject) => {
    request.once('prepared', resolve);
    request.once('error', reject);
    connection.prepare(request);
  });
  for (const values of [{ a: 1, s: 'eins' }, { a: 41, s: 'ünf' }, { a: null, s: null }]) {
    answers.push(await execute(connection, request, values));
  }
  same(answers, [[[2, 'eins']], [[42, 'ünf']], [[null, null]]]);
  await new Promise((resolve, reject) => {
    request.callback = (error) => (error ? reject(error) : resolve());
    connection.unprepare(request);
  });
  const gone = await rejection(execute(connection, request, { a: 1, s: '' }));
  same(gone.number, 8179);
}

function execute(connection, request, values) {
  return new Promise((resolve, reject) => {
    const answer = { results: [], outputs: {} };
    request.removeAllListeners();
    collect(request, answer);
    request.error = undefined;
    request.callback = (error) => (error ? reject(error) : resolve(answer.results.at(-1).rows));
    connection.execute(request, values);
  });
}

async function errors(connection) {
  await batch(connection, 'CREATE TABLE #e (a int NOT NULL PRIMARY KEY, b int CHECK (b > 0))');
  const cases = [
    ['SELECT 1 / 0', 8134, 16],
    ['\n\nSELECT * FROM dbo.nothing', 208, 16],
    ['SELECT nothing', 207, 16],
    ['INSERT #e VALUES (1, 1), (1, 2)', 2627, 14],
    ['INSERT #e VALUES (NULL, 1)', 515, 16],
    ['INSERT #e VALUES (3, 0)', 547, 16],
    ["RAISERROR('own %s', 16, 3, 'text')", 50000, 16],
    ["THROW 50123, 'thrown', 4", 50123, 16],
    ['SELEC 1', 102, 15],
    ["SELECT CAST('x' AS int)", 245, 16],
    ['EXEC dbo.no_such_procedure', 2812, 16],
  ];
  const seen = [];
  for (const [sql] of cases) {
    const error = await rejection(batch(connection, sql));
    seen.push([sql, error.number, error.class]);
    same(await rows(connection, 'SELECT 1'), [[1]]);
  }
  // "SELEC 1" is read as a call of a procedure by SQL Server, too: "SELEC" with the argument 1.
  const normal = (row) => (row[0] === 'SELEC 1' ? [row[0], [102, 2812].includes(row[1])] : row);
  same(seen.map(normal), cases.map(normal));
  const error = await rejection(batch(connection, '\n\nSELECT * FROM dbo.nothing'));
  same([error.code, error.lineNumber, error.message], ['EREQUEST', 3, "Invalid object name 'dbo.nothing'."]);
  const raised = await rejection(batch(connection, "RAISERROR('own %s', 16, 3, 'text')"));
  same([raised.state, raised.message], [3, 'own text']);
}

/** Numbers from 1 to 100,000 in a temporary table, by doubling. */
async function manyRows(connection) {
  await batch(connection, 'CREATE TABLE #n (n int NOT NULL)');
  await batch(connection, 'INSERT #n SELECT v FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) AS x(v)');
  for (let count = 10; count < 100_000; count *= 10) {
    await batch(connection, `INSERT #n SELECT a.n + ${count} * b.n FROM #n AS a CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9)) AS b(n)`);
  }
}

async function stream(connection) {
  await manyRows(connection);
  let [seen, sum] = [0, 0];
  await send(connection, "SELECT n, REPLICATE('x', 50) FROM #n", {
    method: 'execSqlBatch',
    onRow([n, text], request) {
      seen += 1;
      sum += n.value + (text.value.length - 50);
      if (seen % 20_000 === 0) {
        request.pause();
        setTimeout(() => request.resume(), 20);
      }
    },
  });
  same([seen, sum], [100_000, 5_000_050_000]);
}

async function cancel(connection) {
  await manyRows(connection);
  let seen = 0;
  const error = await rejection(
    send(connection, 'SELECT a.n FROM #n AS a CROSS JOIN #n AS b', {
      method: 'execSqlBatch',
      onRow() {
        seen += 1;
        if (seen === 1000) connection.cancel();
      },
    }),
  );
  same(error.code, 'ECANCEL');
  ok(seen < 10_000_000, `${seen} rows came`);
  same(await rows(connection, 'SELECT COUNT(*) FROM #n'), [[100_000]]);
}

function transactions() {
  const table = 'CREATE TABLE #t (a int)';
  const all = (connection) => rows(connection, 'SELECT a FROM #t ORDER BY a');
  feature('Transactions: commit, rollback, savepoints', async () => {
    await connected(async (connection) => {
      await batch(connection, table);
      await call(connection, 'beginTransaction');
      await batch(connection, 'INSERT #t VALUES (1)');
      await call(connection, 'saveTransaction', 'half');
      await batch(connection, 'INSERT #t VALUES (2)');
      await call(connection, 'rollbackTransaction', 'half');
      same(await rows(connection, 'SELECT @@TRANCOUNT'), [[1]]);
      await call(connection, 'commitTransaction');
      same(await all(connection), [[1]]);
      await call(connection, 'beginTransaction', 'named');
      await batch(connection, 'INSERT #t VALUES (3)');
      await call(connection, 'rollbackTransaction', 'named');
      same(await all(connection), [[1]]);
      same(await rows(connection, 'SELECT @@TRANCOUNT'), [[0]]);
    });
  });
  feature('Transactions: nested by the driver', async () => {
    await connected(async (connection) => {
      await batch(connection, table);
      await new Promise((resolve, reject) => {
        connection.transaction((error, done) => {
          if (error) return reject(error);
          const inner = batch(connection, 'INSERT #t VALUES (1)').then(
            () =>
              new Promise((next) => {
                connection.transaction((nested, undo) => {
                  if (nested) return reject(nested);
                  batch(connection, 'INSERT #t VALUES (2)').then(() => undo(new Error('undo'), () => next()), reject);
                });
              }),
          );
          inner.then(() => done(null, (failed) => (failed ? reject(failed) : resolve())), reject);
        });
      });
      same(await all(connection), [[1]]);
    });
  });
  feature('Transactions: isolation levels', async () => {
    await connected(async (connection) => {
      const level = 'SELECT transaction_isolation_level FROM sys.dm_exec_sessions WHERE session_id = @@SPID';
      for (const [name, number] of [['READ_UNCOMMITTED', 1], ['READ_COMMITTED', 2], ['REPEATABLE_READ', 3], ['SERIALIZABLE', 4], ['SNAPSHOT', 5]]) {
        await call(connection, 'beginTransaction', '', ISOLATION_LEVEL[name]);
        same([name, await rows(connection, level)], [name, [[number]]]);
        await call(connection, 'rollbackTransaction');
      }
    });
  });
  feature('Transactions: ended by an error with XACT_ABORT', async () => {
    await connected(async (connection) => {
      await batch(connection, `${table}; SET XACT_ABORT ON`);
      await call(connection, 'beginTransaction');
      await batch(connection, 'INSERT #t VALUES (1)');
      same((await rejection(batch(connection, 'SELECT 1 / 0'))).number, 8134);
      same(await rows(connection, 'SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM #t)'), [[0, 0]]);
    });
  });
  feature('Bulk load', async () => connected(bulkLoad));
  feature('Bulk load: an error leaves no rows', async () => connected(bulkError));
  feature('Reset of a connection', async () => {
    await connected(async (connection) => {
      await batch(connection, `${table}; SET DATEFIRST 3; SET LOCK_TIMEOUT 77`);
      await batch(connection, 'BEGIN TRANSACTION');
      await call(connection, 'reset');
      same(await rows(connection, "SELECT @@TRANCOUNT, OBJECT_ID('tempdb..#t'), @@LOCK_TIMEOUT, DB_NAME()"), [[0, null, -1, 'demo']]);
      same((await rejection(batch(connection, 'SELECT * FROM #t'))).number, 208);
    });
  });
}

async function bulkLoad(connection) {
  await batch(connection, 'CREATE TABLE dbo.bulk (id int NOT NULL, name nvarchar(50) NULL, amount decimal(9,2) NULL, day date NULL, data varbinary(max) NULL)');
  const columns = (load) => {
    load.addColumn('id', TYPES.Int, { nullable: false });
    load.addColumn('name', TYPES.NVarChar, { length: 50, nullable: true });
    load.addColumn('amount', TYPES.Decimal, { precision: 9, scale: 2, nullable: true });
    load.addColumn('day', TYPES.Date, { nullable: true });
    load.addColumn('data', TYPES.VarBinary, { length: Infinity, nullable: true });
  };
  const day = new Date(Date.UTC(2026, 10, 22));
  const data = Array.from({ length: 2000 }, (_, n) =>
    n % 3 === 0 ? [n, null, null, null, null] : [n, `näme ${n}`, n / 4, day, Buffer.alloc(n % 97, n)],
  );
  same(await load(connection, 'dbo.bulk', columns, data), 2000);
  const [[count, sum, length]] = await rows(connection, 'SELECT COUNT(*), SUM(amount), SUM(CAST(DATALENGTH(data) AS int)) FROM dbo.bulk');
  const kept = data.filter(([, name]) => name);
  same([count, sum], [2000, kept.reduce((total, row) => total + row[2], 0)]);
  same(length, kept.reduce((total, row) => total + row[4].length, 0));
  same(await rows(connection, 'SELECT id, name, amount, day, data FROM dbo.bulk WHERE id IN (3, 4) ORDER BY id'), [data[3], data[4]]);
}

async function bulkError(connection) {
  await batch(connection, 'CREATE TABLE #b (id int NOT NULL PRIMARY KEY)');
  const columns = (load) => load.addColumn('id', TYPES.Int, { nullable: false });
  const error = await rejection(load(connection, '#b', columns, [[1], [2], [2]]));
  same(error.number, 2627);
  same(await rows(connection, 'SELECT COUNT(*) FROM #b'), [[0]]);
}

function load(connection, table, columns, data) {
  return new Promise((resolve, reject) => {
    const bulk = connection.newBulkLoad(table, (error, count) => (error ? reject(error) : resolve(count)));
    columns(bulk);
    connection.execBulkLoad(bulk, data);
  });
}

/** What pysqlbridge can do, a server of a part of T-SQL over a table of two people. */
function bridge() {
  const count = 'SELECT COUNT(*) FROM people';
  feature('bridge: a query', async () => connected(async (connection) => {
    same(await rows(connection, 'SELECT id, name, score FROM people ORDER BY id'), [[1, 'Ada', 99.5], [2, 'Grace', 87.25]]);
  }));
  feature('bridge: parameters', async () => connected(async (connection) => {
    const prepare = (request) => request.addParameter('id', TYPES.Int, 2);
    const { results } = await send(connection, 'SELECT name FROM people WHERE id = @id', { prepare });
    same(results.map((r) => r.rows), [[['Grace']]]);
  }));
  feature('bridge: temporary tables, and a transaction that is rolled back', async () => connected(async (connection) => {
    await call(connection, 'beginTransaction');
    await batch(connection, 'SELECT * INTO #t FROM people');
    await batch(connection, "INSERT INTO #t VALUES (3, 'Barbara', 1)");
    same(await rows(connection, 'SELECT COUNT(*), @@TRANCOUNT FROM #t'), [[3, 1]]);
    // It counts transactions, and takes nothing back.
    await call(connection, 'rollbackTransaction');
    same(await rows(connection, 'SELECT @@TRANCOUNT'), [[0]]);
    await batch(connection, 'DROP TABLE #t');
  }));
  feature('bridge: an error, after which the connection lives on', async () => connected(async (connection) => {
    match((await rejection(batch(connection, 'SELECT * FROM nowhere'))).message, /nowhere/);
    same(await rows(connection, count), [[2]]);
  }));
  feature('bridge: a new connection again and again', async () => {
    for (let i = 0; i < 5; i++) {
      await connected(async (connection) => same(await rows(connection, count), [[2]]));
    }
  });
}

if (emulator.bridge) {
  bridge();
} else if (process.env.IDENTITY_ENDPOINT) {
  managedIdentity('azure-active-directory-msi-app-service', 'App Service');
} else if (process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST) {
  managedIdentity('azure-active-directory-msi-vm', 'Virtual machine');
} else {
  logins();
  requests();
  transactions();
}
run(version);
