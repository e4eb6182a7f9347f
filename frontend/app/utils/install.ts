export type Platform = 'linux' | 'pip' | 'docker'

/**
 * One line to paste on the machine to be watched. The token is given by the shell itself (`echo`, a variable before a command), so it
 * never stands in a command line, where others on that machine could read it.
 */
export function installLine(platform: Platform, server: string, token: string, version: string): string {
  const wheel = `${server}/agent/bongsu-${version}-py3-none-any.whl`
  switch (platform) {
    case 'linux': return `{ echo "bongsu_token=${token}"; curl -fsSL ${server}/agent/install.sh; } | sudo sh`
    case 'pip': return `python3 -m venv bongsu-agent && bongsu-agent/bin/pip install ${wheel} && BONGSU_AGENT_ENROLMENT_TOKEN=${token} bongsu-agent/bin/bongsu agent run --server ${server}`
    case 'docker': return `BONGSU_AGENT_ENROLMENT_TOKEN=${token} docker run -d --name bongsu-agent --restart unless-stopped --network host --pid host -v bongsu-agent:/var/lib/bongsu -e BONGSU_AGENT_ENROLMENT_TOKEN -e BONGSU_AGENT_SERVER=${server} -e BONGSU_AGENT_DATA_DIR=/var/lib/bongsu/agent python:3.13-slim sh -c "pip install -q ${wheel} && exec bongsu agent run"`
  }
}
