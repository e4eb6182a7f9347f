import { unwrap } from './client'
import * as api from './generated'

export type RuleInfo = api.ListAlertRulesResponses[200]['rules'][number]
export type Rule = RuleInfo['rule']
export type Condition = Rule['condition']
export type Threshold = Extract<Condition, { type: 'threshold' }>
export type RulePreview = api.PreviewAlertRuleResponses[200]

export const listRules = async (): Promise<RuleInfo[]> => (await unwrap(api.listAlertRules({ throwOnError: true }))).rules

export const saveRule = (id: number | null, body: Rule): Promise<RuleInfo> =>
  (id === null ? unwrap(api.createAlertRule({ body, throwOnError: true })) : unwrap(api.changeAlertRule({ path: { id }, body, throwOnError: true })))

export const deleteRule = (id: number) => unwrap(api.deleteAlertRule({ path: { id }, throwOnError: true }))

/** Which alerts a rule would have fired. */
export const previewRule = (rule: Rule, start: string, signal?: AbortSignal): Promise<RulePreview> =>
  unwrap(api.previewAlertRule({ body: { rule, start }, signal, timeout: 60_000, throwOnError: true }))
