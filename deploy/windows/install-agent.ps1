# Installs the Bongsu agent on Windows as a scheduled task, which starts with the machine and restarts if it ends.
# Run it in an elevated PowerShell:
#   .\install-agent.ps1 -Server https://bongsu.example -Token <token> [-Python C:\Bongsu\python.exe]
# Remove:
#   Unregister-ScheduledTask -TaskName "Bongsu agent"
param(
    [Parameter(Mandatory = $true)] [string] $Server,
    [string] $Token = "",
    [string] $Python = (Get-Command python).Source
)
$ErrorActionPreference = "Stop"

$data = Join-Path $env:ProgramData "Bongsu\agent"
New-Item -ItemType Directory -Force -Path $data | Out-Null

# Only administrators and the service account can read the file, which contains the token.
$config = Join-Path $env:ProgramData "Bongsu\agent.yml"
$lines = @("server: $Server", "data_dir: '$data'", "log:", "  file: '$data\agent.log'")
if ($Token) { $lines += "token: '$Token'" }
Set-Content -Path $config -Value $lines -Encoding utf8
icacls $config /inheritance:r /grant "Administrators:F" "SYSTEM:F" "LOCAL SERVICE:R" | Out-Null
icacls $data /grant "LOCAL SERVICE:(OI)(CI)M" | Out-Null

$action = New-ScheduledTaskAction -Execute $Python -Argument "-OO -m bongsu.agent run --config `"$config`""
$trigger = New-ScheduledTaskTrigger -AtStartup
$principal = New-ScheduledTaskPrincipal -UserId "NT AUTHORITY\LOCAL SERVICE" -LogonType ServiceAccount
$settings = New-ScheduledTaskSettingsSet -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable
Register-ScheduledTask -TaskName "Bongsu agent" -Action $action -Trigger $trigger -Principal $principal `
    -Settings $settings -Force | Out-Null
Start-ScheduledTask -TaskName "Bongsu agent"
Write-Host "The agent is running. To see its status: $Python -m bongsu.agent status --config `"$config`""
