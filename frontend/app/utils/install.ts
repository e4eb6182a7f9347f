export type Platform = 'linux' | 'pip' | 'docker'

/**
 * The shell command that installs an agent. The shell itself passes the token (`echo`, a variable in front of the command), so the token
 * never appears among a program's arguments, which other users of that machine can read.
 */
export function installCommand(platform: Platform, apiUrl: string, token: string, version: string): string {
  const wheelUrl = `${apiUrl}/agent/bongsu_agent-${version}-py3-none-any.whl`
  switch (platform) {
    case 'linux': return `{ echo "bongsu_token=${token}"; curl -fsSL ${apiUrl}/agent/install.sh; } | sudo sh`
    case 'pip': return `python3 -m venv bongsu-agent && bongsu-agent/bin/pip install ${wheelUrl} && BONGSU_AGENT_ENROLMENT_TOKEN=${token} bongsu-agent/bin/bongsu agent run --server ${apiUrl}`
    case 'docker': return `BONGSU_AGENT_ENROLMENT_TOKEN=${token} docker run -d --name bongsu-agent --restart unless-stopped --network host --pid host -v bongsu-agent:/var/lib/bongsu -e BONGSU_AGENT_ENROLMENT_TOKEN -e BONGSU_AGENT_SERVER=${apiUrl} -e BONGSU_AGENT_DATA_DIR=/var/lib/bongsu/agent python:3.13-slim sh -c "pip install -q ${wheelUrl} && exec bongsu agent run"`
  }
}
