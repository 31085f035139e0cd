// Promises around tedious: a connection, and what a request answers.
'use strict';

const { Connection, Request } = require('tedious');

// Where the emulator is (or a proxy in front of it) and who may log in, as the test tells it.
const emulator = JSON.parse(process.env.EMULATOR);

const password = {
  type: 'default',
  options: { userName: emulator.user, password: emulator.password },
};

/** What is called `encrypt` here. */
const encrypt = { off: false, on: true, strict: 'strict' }[emulator.encryption];

/** The version that it is told to speak, as it spells versions. */
const tdsVersion = { 7.1: '7_1', 7.2: '7_2', '7.3A': '7_3_A', '7.3B': '7_3_B', 7.4: '7_4' }[emulator.tds ?? '7.4'];

/** Options for a connection that verifies the emulator's certificate. */
function settings(authentication, options = {}) {
  return {
    server: emulator.host,
    authentication,
    options: {
      port: emulator.port,
      database: 'demo',
      encrypt,
      trustServerCertificate: false,
      serverName: 'localhost',
      cryptoCredentialsDetails: { ca: emulator.ca_pem },
      connectTimeout: 20_000,
      requestTimeout: 30_000,
      maxRetriesOnTransientErrors: 0,
      tdsVersion,
      ...options,
    },
  };
}

/** A connection that is logged in. It collects messages of PRINT and the like in `infos`, the
 * numbers of errors in `told`, which the error of a refused login gets, too. */
function connect(authentication = password, options = {}) {
  const connection = new Connection(settings(authentication, options));
  connection.infos = [];
  connection.told = [];
  connection.on('errorMessage', (error) => connection.told.push(error.number));
  connection.on('infoMessage', (info) => connection.infos.push(info));
  connection.on('error', () => {});
  return new Promise((resolve, reject) => {
    connection.connect((error) => {
      if (error) {
        connection.close();
        error.told = connection.told;
        reject(error);
      } else {
        resolve(connection);
      }
    });
  });
}

/** Calls `use` with a connection of its own and closes it. */
async function connected(use, authentication, options) {
  const connection = await connect(authentication, options);
  try {
    return await use(connection);
  } finally {
    connection.close();
  }
}

/**
 * Sends a request by one of the connection's methods and collects its answer: `results` (columns and
 * rows), `outputs`, `status`, `count`. Rejects with the request's error, which carries the answer.
 */
function send(connection, sql, { prepare = () => {}, method = 'execSql', onRow } = {}) {
  return new Promise((resolve, reject) => {
    const answer = { results: [], outputs: {} };
    const request = new Request(sql, (error, count) => {
      answer.count = count;
      if (error) {
        error.answer = answer;
        reject(error);
      } else {
        resolve(answer);
      }
    });
    collect(request, answer, onRow);
    prepare(request);
    connection[method](request);
  });
}

function collect(request, answer, onRow) {
  request.on('columnMetadata', (columns) => answer.results.push({ columns, rows: [] }));
  request.on('row', (row) => {
    if (onRow) onRow(row, request);
    else answer.results.at(-1).rows.push(row.map((cell) => cell.value));
  });
  request.on('returnValue', (name, value) => (answer.outputs[name] = value));
  request.on('doneProc', (_count, _more, status) => (answer.status = status));
}

/** Rows of the only result of a batch. */
async function rows(connection, sql) {
  const answer = await send(connection, sql, { method: 'execSqlBatch' });
  if (answer.results.length !== 1) throw new Error(`${answer.results.length} results: ${sql}`);
  return answer.results[0].rows;
}

function batch(connection, sql) {
  return send(connection, sql, { method: 'execSqlBatch' });
}

/** Turns `method(…, callback)` of the connection into a promise. */
function call(connection, method, ...args) {
  return new Promise((resolve, reject) => {
    connection[method]((error, value) => (error ? reject(error) : resolve(value)), ...args);
  });
}

/** The error that the promise is rejected with. */
async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  value?.close?.();
  throw new Error('an error was expected');
}

module.exports = {
  batch, call, collect, connect, connected, emulator, encrypt, password, rejection, rows, send, tdsVersion,
};
