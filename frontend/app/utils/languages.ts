// The languages of the dashboard and of messages, in the order of the menu.

/** `code`: the file in i18n/locales; `reviewed`: somebody who speaks it has read the texts. */
export const LANGUAGES = [
  { code: 'en', name: 'English', reviewed: true },
  { code: 'ko', name: '한국어', reviewed: true },
  { code: 'de', name: 'Deutsch', reviewed: false },
  { code: 'es', name: 'Español', reviewed: false },
  { code: 'fr', name: 'Français', reviewed: false },
  { code: 'pt-BR', name: 'Português (Brasil)', reviewed: false },
  { code: 'ja', name: '日本語', reviewed: false },
  { code: 'zh-CN', name: '简体中文', reviewed: false },
] as const

export type Language = typeof LANGUAGES[number]
export type Locale = Language['code']

/** The language of a locale; English for the pseudo-locale. */
export function languageOf(locale: string): Language {
  return LANGUAGES.find(({ code }) => code === locale) ?? LANGUAGES[0]
}
