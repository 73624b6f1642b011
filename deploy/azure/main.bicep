// The cloud of CattleCounter in one resource group. deploy/azure/infrastructure.md explains the parameters and lists what
// was checked and what was never run.
targetScope = 'resourceGroup'

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Begins the names of all resources: 3 to 10 small letters and digits.')
@minLength(3)
@maxLength(10)
param name string = 'cattle'

@description('small: some stations, one worker at a time. large: thousands of stations, zones, several API instances.')
@allowed(['small', 'large'])
param size string = 'small'

@description('Version of the images of a first installation: the tag that deploy.sh pushes.')
param version string = 'latest'

@description('Image of the API that runs, and of the broker. Empty: of the version above.')
param apiImage string = ''

@description('Image of the workers that run. Empty: of the version above.')
param workerImage string = ''

@description('Settings of the API that runs, which it keeps until a release: [{ name, value }]. Empty: those of this file.')
param apiSettings array = []

@description('Where workers run: Container Apps, which scale by the queue, or one container group that always runs.')
@allowed(['containerapps', 'instances'])
param workersOn string = 'containerapps'

@description('Most workers at a time.')
param maxWorkers int = size == 'large' ? 20 : 3

@description('A workload profile with GPUs for the workers, such as Consumption-GPU-NC8as-T4. Empty: CPUs.')
param gpuProfile string = ''

@description('container: the broker of cloud-api in a container app, in the virtual network. external: mqttUrl names one.')
@allowed(['container', 'external'])
param mqtt string = 'container'

@description('Address of an external broker, such as ssl://broker.example:8883.')
param mqttUrl string = ''

@description('Account of the cloud at the broker.')
param mqttUser string = '@cloud'

@description('Password of that account; it goes into the key vault.')
@secure()
@minLength(1)
param mqttPassword string

@description('The keys that encrypt secrets of the ledger, as "cloud-api secrets init" writes them; they go into the key vault.')
@secure()
@minLength(43)
param ledgerKeys string

@description('true: storage and key vault are reached from the virtual network only. The database always is.')
param privateNetwork bool = size == 'large'

@description('Object id and name of the Entra group or user that administers the database.')
param databaseAdmin object

@description('Monthly budget in the currency of the subscription, and who is told at 80 and 100 percent.')
param budget int = size == 'large' ? 3000 : 200
param budgetContacts array = []

@description('First day of the month from which the budget counts.')
param budgetStart string = utcNow('yyyy-MM-01')

var suffix = uniqueString(resourceGroup().id)
var tags = { product: 'cattlecounter', size: size }

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: { location: location, name: name, tags: tags }
}

module watching 'modules/watching.bicep' = {
  name: 'watching'
  params: { location: location, name: name, tags: tags, budget: budget, budgetContacts: budgetContacts, budgetStart: budgetStart }
}

module network 'modules/network.bicep' = {
  name: 'network'
  params: { location: location, name: name, tags: tags }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  params: {
    location: location
    name: '${name}${suffix}'
    tags: tags
    large: size == 'large'
    pullers: [identity.outputs.apiPrincipal, identity.outputs.workerPrincipal]
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    location: location
    name: '${name}${suffix}'
    tags: tags
    large: size == 'large'
    privateNetwork: privateNetwork
    subnet: network.outputs.endpoints
    network: network.outputs.id
    users: [identity.outputs.apiPrincipal, identity.outputs.workerPrincipal]
    workspace: watching.outputs.workspace
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    name: '${name}${suffix}'
    tags: tags
    privateNetwork: privateNetwork
    subnet: network.outputs.endpoints
    network: network.outputs.id
    readers: [identity.outputs.apiPrincipal, identity.outputs.workerPrincipal]
    mqttPassword: mqttPassword
    ledgerKeys: ledgerKeys
    keyReader: identity.outputs.apiPrincipal
  }
}

module database 'modules/database.bicep' = {
  name: 'database'
  params: {
    location: location
    name: '${name}-${suffix}'
    tags: tags
    large: size == 'large'
    subnet: network.outputs.database
    network: network.outputs.id
    admin: databaseAdmin
  }
}

// What runs stays; the step "release" brings another version.
var images = '${registry.outputs.host}/cattlecounter'
var currentApi = empty(apiImage) ? '${images}/cloud-api:${version}' : apiImage
var currentWorker = empty(workerImage) ? '${images}/${empty(gpuProfile) ? 'worker' : 'worker-gpu'}:${version}' : workerImage
var broker = mqtt == 'container' ? 'tcp://${name}-broker:1883' : mqttUrl
var common = [
  { name: 'CATTLE_CLOUD_STORE', value: 'azure' }
  { name: 'CATTLE_CLOUD_AZURE_BLOB_URL', value: storage.outputs.blobUrl }
  { name: 'CATTLE_CLOUD_AZURE_QUEUE_URL', value: storage.outputs.queueUrl }
  { name: 'CATTLE_CLOUD_LEDGER_IDENTITY', value: 'true' }
  { name: 'CATTLE_CLOUD_MQTT_URL', value: broker }
  { name: 'CATTLE_CLOUD_MQTT_USERNAME', value: mqttUser }
]

module api 'modules/api.bicep' = {
  name: 'api'
  params: {
    location: location
    name: '${name}-api-${suffix}'
    tags: tags
    large: size == 'large'
    image: currentApi
    productionSettings: apiSettings
    identityId: identity.outputs.apiId
    identityClient: identity.outputs.apiClient
    subnet: network.outputs.api
    settings: concat(common, [
      { name: 'CATTLE_CLOUD_LEDGER_URL', value: 'postgres://${name}-api@${database.outputs.host}:5432/cattle?sslmode=verify-full' }
    ])
    keysUri: vault.outputs.ledgerKeysUri
    passwordUri: vault.outputs.mqttPasswordUri
    insights: watching.outputs.connectionString
    workspace: watching.outputs.workspace
  }
}

module workers 'modules/workers.bicep' = {
  name: 'workers'
  params: {
    location: location
    name: name
    tags: tags
    workersOn: workersOn
    maxWorkers: maxWorkers
    gpuProfile: gpuProfile
    image: currentWorker
    brokerImage: mqtt == 'container' ? currentApi : ''
    registryHost: registry.outputs.host
    identityId: identity.outputs.workerId
    identityClient: identity.outputs.workerClient
    account: storage.outputs.name
    subnet: network.outputs.workers
    workspaceId: watching.outputs.workspaceCustomer
    workspaceName: watching.outputs.workspaceName
    settings: concat(common, [
      { name: 'CATTLE_CLOUD_LEDGER_URL', value: 'postgres://${name}-worker@${database.outputs.host}:5432/cattle?sslmode=verify-full' }
    ])
    passwordUri: vault.outputs.mqttPasswordUri
  }
}

output registry string = registry.outputs.name
output webApp string = api.outputs.name
output workerApp string = workers.outputs.name
output url string = api.outputs.url
output databaseHost string = database.outputs.host
