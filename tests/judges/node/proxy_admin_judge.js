// tedious, unmodified, at the proxy's admin database.
'use strict';

const { deepStrictEqual: same, match, ok } = require('node:assert');
const { Connection, Request, TYPES } = require('tedious');
const { version } = require('tedious/package.json');
const { feature, run } = require('./judge.js');

const { port } = JSON.parse(process.env.ADMIN);

function connect(database, appName) {
  const connection = new Connection({
    server: '127.0.0.1',
    authentication: { type: 'default', options: { userName: 'me', password: 'x' } },
    options: { port, database, appName, encrypt: false, connectTimeout: 20_000, maxRetriesOnTransientErrors: 0 },
  });
  connection.on('error', () => {});
  return new Promise((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve(connection)));
  });
}

/** A statement's rows; with parameters it goes by sp_executesql, without as a batch. */
function rows(connection, sql, parameters = {}) {
  return new Promise((resolve, reject) => {
    const all = [];
    const request = new Request(sql, (error) => (error ? reject(error) : resolve(all)));
    request.on('row', (row) => all.push(row.map((cell) => cell.value)));
    const named = Object.entries(parameters);
    for (const [name, [type, value]] of named) request.addParameter(name, type, value);
    if (named.length > 0) connection.execSql(request);
    else connection.execSqlBatch(request);
  });
}

async function fails(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('an error was expected');
}

feature('tables with a filter and parameters', async () => {
  const admin = await connect('entrada', 'tedious');
  const sql = 'SELECT application, state, encrypted FROM sessions WHERE application = @app AND id > @least';
  const given = { app: [TYPES.NVarChar, 'TEDIOUS'], least: [TYPES.BigInt, '0'] };
  same(await rows(admin, sql, given), [['tedious', 'admin', false]]);
  given.app = [TYPES.VarChar, "x' OR 1 = 1 --"];
  same(await rows(admin, sql, given), []);
  const [[since]] = await rows(admin, 'SELECT connected_at FROM sessions WHERE id = @@SPID');
  ok(Math.abs(Date.now() - since) < 600_000, since);
  const error = await fails(rows(admin, 'SELECT * FROM nothing'));
  same(error.number, 208);
  match(error.message, /SHOW HELP/);
  admin.close();
});

feature('a statement that is prepared, and a transaction', async () => {
  const admin = await connect('entrada', 'tedious');
  const found = await new Promise((resolve, reject) => {
    const all = [];
    const request = new Request('SELECT @n + 1', (error) => {
      if (error) reject(error);
    });
    request.addParameter('n', TYPES.Int);
    request.on('row', (row) => all.push(Number(row[0].value)));
    request.on('prepared', () => {
      request.callback = (error) => {
        if (error) return reject(error);
        if (all.length === 2) return resolve(all);
        return admin.execute(request, { n: 41 });
      };
      admin.execute(request, { n: 1 });
    });
    admin.prepare(request);
  });
  same(found, [2, 42]);
  await new Promise((resolve, reject) => admin.beginTransaction((error) => (error ? reject(error) : resolve())));
  same(await rows(admin, 'SELECT @@TRANCOUNT'), [[1]]);
  await new Promise((resolve, reject) => admin.commitTransaction((error) => (error ? reject(error) : resolve())));
  await new Promise((resolve, reject) => admin.reset((error) => (error ? reject(error) : resolve())));
  same(await rows(admin, 'SELECT @@TRANCOUNT'), [[0]]);
  admin.close();
});

feature('KILL', async () => {
  const victim = await connect('shop', 'victim');
  same(await rows(victim, 'SELECT 1'), [[1]]);
  const admin = await connect('entrada', 'tedious');
  const [[id]] = await rows(admin, "SELECT id FROM sessions WHERE application = 'victim'");
  const gone = new Promise((resolve) => victim.on('end', resolve));
  await rows(admin, `KILL ${id}`);
  await gone;
  same(await rows(admin, `SELECT COUNT(*) FROM sessions WHERE id = ${id}`), [[0]]);
  same((await fails(rows(admin, `KILL ${id}`))).number, 6106);
  same((await fails(rows(admin, 'KILL @@SPID'))).number, 6104);
  admin.close();
});

feature('PAUSE, RESUME and RECONNECT', async () => {
  const admin = await connect('entrada', 'tedious');
  await rows(admin, 'PAUSE');
  const patient = connect('shop', 'patient');
  const state = "SELECT state FROM sessions WHERE application = 'patient'";
  while ((await rows(admin, state))[0]?.[0] !== 'waiting');
  await rows(admin, 'RESUME');
  const served = await patient;
  await rows(admin, 'RECONNECT [default]');
  same(await rows(served, 'SELECT 1'), [[1]]);
  same((await rows(admin, 'SELECT paused, in_use FROM pools')).at(0), [false, 1]);
  served.close();
  admin.close();
});

run(version);
