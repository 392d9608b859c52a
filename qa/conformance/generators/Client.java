import java.util.List;

/** Logs in, finds a customer, and creates and confirms an order, with generated clients. */
class Client {
    public static void main(String[] args) throws Exception {
        var run = args[0];
        var http = new customers.ApiClient();
        http.updateBaseUri(System.getenv("CUSTOMERS_BASE"));
        var credentials = new customers.model.Credentials();
        credentials.username(System.getenv("ADMIN_USER")).password(System.getenv("ADMIN_PASSWORD"));
        var token = new customers.api.AuthApi(http).tokenCreate(credentials, null, null).getAccessToken();
        var authorization = "Bearer " + token;
        http.setRequestInterceptor(request -> request.header("Authorization", authorization));
        var page = new customers.api.CustomersApi(http).customerList(null, null, "acme", null, null);
        var customer = page.getData().get(0).getId();

        var ordersHttp = new orders.ApiClient();
        ordersHttp.updateBaseUri(System.getenv("ORDERS_BASE"));
        ordersHttp.setRequestInterceptor(request -> request.header("Authorization", authorization));
        var api = new orders.api.OrdersApi(ordersHttp);
        var item = new orders.model.OrderItemInput().productId(2L).qty(3L);
        var input = new orders.model.OrderInput().customerId(customer).items(List.of(item));
        var order = api.orderCreate(input, run, null, null);
        check(api.orderCreate(input, run, null, null).getId().equals(order.getId()), "a second order was created");
        var status = api.orderConfirm(order.getId(), run, null, null, null).getStatus();
        check(status == orders.model.OrderStatus.CONFIRMED, "the order is not confirmed");

        var sagaHttp = new orchestrator.ApiClient();
        sagaHttp.updateBaseUri(System.getenv("ORCHESTRATOR_BASE"));
        sagaHttp.setRequestInterceptor(request -> request.header("Authorization", authorization));
        var sagaItem = new orchestrator.model.Item().productId(2L).qty(3L);
        var request = new orchestrator.model.CreateAndConfirm();
        request.customerId(customer).items(List.of(sagaItem)).idempotencyKey(run);
        var saga = new orchestrator.api.OrchestratorApi(sagaHttp).orderCreateAndConfirm(request, null, null);
        var done = saga.getData().getOrder().getStatus();
        check(done == orchestrator.model.OrderStatus.CONFIRMED, "the second order is not confirmed");
        System.out.println("order " + order.getId() + " confirmed");
    }

    private static void check(boolean holds, String problem) {
        if (!holds) {
            throw new AssertionError(problem);
        }
    }
}
