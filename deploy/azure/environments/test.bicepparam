using '../main.bicep'

param size = 'small'
param version = readEnvironmentVariable('VERSION', 'latest')
// deploy.sh finds what runs and sets these three.
param apiImage = readEnvironmentVariable('API_IMAGE', '')
param workerImage = readEnvironmentVariable('WORKER_IMAGE', '')
param apiSettings = json(readEnvironmentVariable('API_SETTINGS', '[]'))
param mqttPassword = readEnvironmentVariable('MQTT_PASSWORD', '')
param ledgerKeys = readEnvironmentVariable('LEDGER_KEYS', '')
param databaseAdmin = {
  id: readEnvironmentVariable('DATABASE_ADMIN_ID', '')
  name: readEnvironmentVariable('DATABASE_ADMIN_NAME', '')
  type: 'Group'
}
