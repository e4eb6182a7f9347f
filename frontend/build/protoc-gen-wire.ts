// Generates readers and writers of protobuf messages that hold nothing but what the dashboard needs. protobuf-es describes every message at run
// time, for reflection, JSON and text formats, which costs 18 KB of JavaScript more before the first value is on screen, and takes twice as long
// to read one. Run by `make proto`. Fails on what proto/ does not use.
import { ScalarType } from '@bufbuild/protobuf'
import type { DescEnum, DescField, DescFile, DescMessage, DescOneof } from '@bufbuild/protobuf'
import { createEcmaScriptPlugin, getComments, runNodeJs } from '@bufbuild/protoplugin'
import type { GeneratedFile, Schema } from '@bufbuild/protoplugin'

interface Options { read: string[], write: string[] }

const RUNTIME = '~/utils/wire'
const VARINT = 0
const FIXED64 = 1
const BYTES = 2

/** The method of the reader and the writer, the TypeScript type, and how the value is on the wire. */
const SCALARS: Partial<Record<ScalarType, { name: string, type: string, zero: string, wire: number }>> = {
  [ScalarType.UINT32]: { name: 'uint32', type: 'number', zero: '0', wire: VARINT },
  [ScalarType.INT64]: { name: 'int64', type: 'number', zero: '0', wire: VARINT },
  [ScalarType.BOOL]: { name: 'bool', type: 'boolean', zero: 'false', wire: VARINT },
  [ScalarType.DOUBLE]: { name: 'double', type: 'number', zero: '0', wire: FIXED64 },
  [ScalarType.STRING]: { name: 'string', type: 'string', zero: '\'\'', wire: BYTES },
}

function scalar(type: ScalarType, field: DescField) {
  const known = SCALARS[type]
  if (!known) throw new Error(`${field.parent.typeName}.${field.name}: ${ScalarType[type]} is not supported`)
  return known
}

function unsupported(field: DescField): never {
  throw new Error(`${field.parent.typeName}.${field.name} is not supported`)
}

const capital = (name: string) => name[0]!.toUpperCase() + name.slice(1)
const isOptional = (field: DescField) => field.proto.proto3Optional || field.fieldKind === 'message'
const tag = (field: DescField, wire: number) => field.number << 3 | wire

/** Those that a message contains, after those that they contain. */
function contained(message: DescMessage, found = new Set<DescMessage>()): Set<DescMessage> {
  if (found.has(message)) return found
  for (const field of message.fields) if (field.message) contained(field.message, found)
  return found.add(message)
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case 'scalar': return scalar(field.scalar, field).type
    case 'enum': return field.enum.name
    case 'message': return field.message.name
    case 'map':
      if (field.mapKey !== ScalarType.STRING || field.mapKind !== 'scalar' || field.scalar !== ScalarType.STRING) unsupported(field)
      return 'Record<string, string>'
    case 'list': {
      const element = field.listKind === 'scalar' ? scalar(field.scalar, field).type : field.listKind === 'message' ? field.message.name : unsupported(field)
      return `${element}[]`
    }
  }
}

function zeroOf(field: DescField): string {
  switch (field.fieldKind) {
    case 'scalar': return scalar(field.scalar, field).zero
    case 'enum': return '0'
    case 'map': return '{}'
    case 'list': return '[]'
    default: return unsupported(field)
  }
}

function printComments(file: GeneratedFile, desc: DescEnum | DescMessage | DescField, indent: string): void {
  const text = getComments(desc).leading?.split('\n').map(line => line.trim()).join('\n').trim()
  if (!text) return
  const lines = text.split('\n')
  if (lines.length === 1) return file.print(`${indent}/** ${text} */`)
  file.print(`${indent}/**`)
  for (const line of lines) file.print(`${indent} * ${line}`)
  file.print(`${indent} */`)
}

function printEnum(file: GeneratedFile, desc: DescEnum): void {
  printComments(file, desc, '')
  file.print(`export const ${desc.name} = { ${desc.values.map(value => `${value.localName}: ${value.number}`).join(', ')} } as const`)
  // A newer API server may send one that is not known here.
  file.print(`export type ${desc.name} = number`)
  file.print()
}

function printType(file: GeneratedFile, message: DescMessage): void {
  printComments(file, message, '')
  file.print(`export interface ${message.name} {`)
  for (const member of message.members) {
    if (member.kind === 'oneof') file.print(`  ${member.localName}: ${member.fields.map(field => `{ case: '${field.localName}', value: ${written(field)} }`).join(' | ')}`)
    else {
      printComments(file, member, '  ')
      file.print(`  ${member.localName}${isOptional(member) ? '?' : ''}: ${typeOf(member)}`)
    }
  }
  file.print('}')
  file.print()
}

// --- readers

function printReader(file: GeneratedFile, message: DescMessage): void {
  const { name } = message
  const fields = message.members.map(member => (member.kind === 'oneof' ? unsupportedOneof(member) : member))
  file.print(`function read${name}(reader: Reader, end: number): ${name} {`)
  file.print(`  const message: ${name} = { ${fields.filter(field => !isOptional(field)).map(field => `${field.localName}: ${zeroOf(field)}`).join(', ')} }`.replace('{  }', '{}'))
  file.print('  while (reader.isBefore(end)) {')
  file.print('    const tag = reader.uint32()')
  file.print('    switch (tag) {')
  for (const field of fields) for (const [wire, statement] of reads(field)) file.print(`      case ${tag(field, wire)}: ${statement}; break`)
  file.print('      default: reader.skip(tag)')
  file.print('    }')
  file.print('  }')
  file.print('  return message')
  file.print('}')
  file.print()
}

/** What reads a field, by how it is on the wire. */
function reads(field: DescField): [number, string][] {
  const target = `message.${field.localName}`
  switch (field.fieldKind) {
    case 'scalar': {
      const { name, wire } = scalar(field.scalar, field)
      return [[wire, `${target} = reader.${name}()`]]
    }
    case 'enum': return [[VARINT, `${target} = reader.uint32()`]]
    case 'message': return [[BYTES, `${target} = read${field.message.name}(reader, reader.end())`]]
    case 'map': return [[BYTES, `reader.entry(${target})`]]
    case 'list': {
      if (field.listKind === 'message') return [[BYTES, `${target}.push(read${field.message.name}(reader, reader.end()))`]]
      if (field.listKind === 'enum') return unsupported(field)
      const { name, wire } = scalar(field.scalar, field)
      const single: [number, string] = [wire, `${target}.push(reader.${name}())`]
      return wire === BYTES ? [single] : [[BYTES, `reader.packed${capital(name)}(${target})`], single]
    }
  }
}

function unsupportedOneof(member: DescOneof): never {
  throw new Error(`${member.parent.typeName}.${member.name}: a oneof is not supported in what is read`)
}

// --- writers

/** All fields may be left out: they are zero then. */
const written = (field: DescField) => (field.fieldKind === 'message' ? `Partial<${field.message.name}>` : typeOf(field))

function printWriter(file: GeneratedFile, message: DescMessage): void {
  const [oneof] = message.members
  if (message.members.length === 1 && oneof?.kind === 'oneof') return printChoice(file, message, oneof)
  file.print(`function write${message.name}(message: Partial<${message.name}>): Writer {`)
  file.print('  const writer = new Writer()')
  for (const field of message.members) file.print(`  ${writes(field.kind === 'oneof' ? unsupportedOneof(field) : field)}`)
  file.print('  return writer')
  file.print('}')
  file.print()
}

function printChoice(file: GeneratedFile, message: DescMessage, oneof: DescOneof): void {
  file.print(`function write${message.name}({ ${oneof.localName} }: ${message.name}): Writer {`)
  file.print('  const writer = new Writer()')
  file.print(`  switch (${oneof.localName}.case) {`)
  for (const field of oneof.fields) {
    if (field.fieldKind !== 'message') unsupported(field)
    file.print(`    case '${field.localName}': return writer.message(${tag(field, BYTES)}, write${field.message.name}(${oneof.localName}.value))`)
  }
  file.print('  }')
  file.print('}')
  file.print()
}

function writes(field: DescField): string {
  if (field.proto.proto3Optional) return unsupported(field)
  const value = `message.${field.localName}`
  if (field.fieldKind === 'scalar') {
    const { name, wire } = scalar(field.scalar, field)
    return `if (${value}) writer.${name}(${tag(field, wire)}, ${value})`
  }
  if (field.fieldKind !== 'list' || field.listKind !== 'scalar') return unsupported(field)
  const { name, wire } = scalar(field.scalar, field)
  return wire === BYTES
    ? `for (const value of ${value} ?? []) writer.${name}(${tag(field, BYTES)}, value)`
    : `if (${value}?.length) writer.packed${capital(name)}(${tag(field, BYTES)}, ${value})`
}

// --- the file

function find(schema: Schema<Options>, names: string[]): DescMessage[] {
  return names.map((name) => {
    const found = schema.allFiles.flatMap((file: DescFile) => file.messages).find(message => message.name === name)
    if (!found) throw new Error(`there is no message ${name}`)
    return found
  })
}

function generate(schema: Schema<Options>): void {
  const file = schema.generateFile('live.ts')
  const read = find(schema, schema.options.read)
  const write = find(schema, schema.options.write)
  const toRead = [...new Set(read.flatMap(message => [...contained(message)]))]
  const toWrite = [...new Set(write.flatMap(message => [...contained(message)]))]
  const messages = [...new Set([...toRead, ...toWrite])]
  const enums = [...new Set(messages.flatMap(message => message.fields.flatMap(field => field.enum ?? [])))]
  file.print('// Generated from proto/ by build/protoc-gen-wire.ts: run `make proto`.')
  file.print('/* eslint-disable */')
  file.print(`import { Reader } from '${RUNTIME}/reader'`)
  file.print(`import { Writer } from '${RUNTIME}/writer'`)
  file.print()
  for (const desc of enums) printEnum(file, desc)
  for (const message of messages) printType(file, message)
  for (const message of toRead) printReader(file, message)
  for (const message of toWrite) printWriter(file, message)
  for (const { name } of read) {
    file.print(`/** @throws WireError if the bytes are no such message */`)
    file.print(`export const decode${name} = (bytes: Uint8Array): ${name} => read${name}(new Reader(bytes), bytes.length)`)
    file.print()
  }
  for (const { name } of write) file.print(`export const encode${name} = (message: ${name}): Uint8Array<ArrayBuffer> => write${name}(message).finish()`)
}

runNodeJs(createEcmaScriptPlugin({
  name: 'protoc-gen-wire',
  version: '1',
  parseOptions: (options): Options => ({
    read: options.filter(({ key }) => key === 'read').map(({ value }) => value),
    write: options.filter(({ key }) => key === 'write').map(({ value }) => value),
  }),
  generateTs: generate,
}))
