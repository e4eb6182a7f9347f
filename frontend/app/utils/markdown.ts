import MarkdownIt from 'markdown-it'

// HTML is shown as text, and links are checked (no javascript:, vbscript:, file: or data:). An image would tell its host who looks.
const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true }).disable('image')
const open = markdown.renderer.rules.link_open ?? ((tokens, index, options, _, self) => self.renderToken(tokens, index, options))
markdown.renderer.rules.link_open = (tokens, index, options, env, self) => {
  tokens[index]!.attrSet('rel', 'noopener noreferrer nofollow')
  tokens[index]!.attrSet('target', '_blank')
  return open(tokens, index, options, env, self)
}

/** Markdown as HTML that holds no HTML of the writer. */
export const renderMarkdown = (text: string): string => markdown.render(text)
