// What HashiCorp's own parser says of the Terraform and Nomad files below the folder DEPLOY.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parse } = require('@cdktf/hcl2json');
const { feature, run } = require('./judge');

const files = fs
  .readdirSync(process.env.DEPLOY, { recursive: true })
  .filter((file) => file.endsWith('.tf') || file.endsWith('.hcl'))
  .sort();

for (const file of files) {
  feature(file, async () => {
    const text = fs.readFileSync(path.join(process.env.DEPLOY, file), 'utf8');
    const blocks = Object.keys(await parse(file, text));
    if (blocks.length === 0) throw new Error('nothing stands in it');
  });
}

feature('a mistake is found', async () => {
  try {
    await parse('wrong.hcl', 'job "x" {');
  } catch {
    return;
  }
  throw new Error('half a block went through');
});

run(require('@cdktf/hcl2json/package.json').version);
