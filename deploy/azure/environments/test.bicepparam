using '../main.bicep'

param size = 'small'
param version = readEnvironmentVariable('VERSION', 'latest')
param mqttPassword = readEnvironmentVariable('MQTT_PASSWORD', '')
param ledgerKeys = readEnvironmentVariable('LEDGER_KEYS', '')
param databaseAdmin = {
  id: readEnvironmentVariable('DATABASE_ADMIN_ID', '')
  name: readEnvironmentVariable('DATABASE_ADMIN_NAME', '')
  type: 'Group'
}
