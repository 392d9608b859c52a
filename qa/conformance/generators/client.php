<?php
// Logs in, finds a customer, and creates and confirms an order, with generated clients: client.php CLIENTS RUN

require 'GuzzleHttp/autoload.php';

[, $clients, $run] = $argv;
spl_autoload_register(function (string $class) use ($clients): void {
    [$service, $path] = explode('\\', $class, 2) + [1 => ''];
    $file = "$clients/" . strtolower($service) . '/lib/' . strtr($path, '\\', '/') . '.php';
    if (is_file($file)) {
        require $file;
    }
});
// PHP loads a class when it is used. Load all.
foreach (glob("$clients/*/lib/{,*/}*.php", GLOB_BRACE) as $file) {
    require_once $file;
}

$http = new GuzzleHttp\Client();
$login = new Customers\Configuration();
$login->setHost(getenv('CUSTOMERS_BASE'));
$credentials = new Customers\Model\Credentials(['username' => getenv('ADMIN_USER'), 'password' => getenv('ADMIN_PASSWORD')]);
$token = (new Customers\Api\AuthApi($http, $login))->tokenCreate($credentials)->getAccessToken();
$login->setAccessToken($token);
$customer = (new Customers\Api\CustomersApi($http, $login))->customerList(search: 'acme')->getData()[0];

$config = (new Orders\Configuration())->setHost(getenv('ORDERS_BASE'))->setAccessToken($token);
$orders = new Orders\Api\OrdersApi($http, $config);
$items = [new Orders\Model\OrderItemInput(['product_id' => 2, 'qty' => 3])];
$input = new Orders\Model\OrderInput(['customer_id' => $customer->getId(), 'items' => $items]);
$order = $orders->orderCreate($input, $run);
if ($orders->orderCreate($input, $run)->getId() !== $order->getId()) {
    exit('a second order was created');
}
if ($orders->orderConfirm($order->getId(), $run)->getStatus() !== Orders\Model\OrderStatus::CONFIRMED) {
    exit('the order is not confirmed');
}

$config = (new Orchestrator\Configuration())->setHost(getenv('ORCHESTRATOR_BASE'))->setAccessToken($token);
$request = new Orchestrator\Model\CreateAndConfirm([
    'customer_id' => $customer->getId(),
    'items' => [new Orchestrator\Model\Item(['product_id' => 2, 'qty' => 3])],
    'idempotency_key' => $run,
]);
$done = (new Orchestrator\Api\OrchestratorApi($http, $config))->orderCreateAndConfirm($request)->getData()->getOrder();
if ($done->getStatus() !== Orchestrator\Model\OrderStatus::CONFIRMED) {
    exit('the second order is not confirmed');
}
echo "order {$order->getId()} confirmed\n";
