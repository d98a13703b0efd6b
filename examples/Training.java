import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/** Trains over two owners' data, tells how it goes, and fetches the model: java Training.java */
public class Training {
    static final String GATEWAY = System.getenv().getOrDefault("GATEWAY", "http://127.0.0.1:8080");
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        var body = "{\"job_name\": \"trained from Java\", \"operation\": \"REGRESSION\","
            + " \"dataset\": [\"mercy/breast-cancer\", \"lakeside/breast-cancer\"],"
            + " \"params\": {\"regression_type\": \"LOGISTIC\"}}";
        var create = to("/v1/jobs?submit=true").header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body)).build();
        var made = CLIENT.send(create, BodyHandlers.ofString());
        if (made.statusCode() != 201) throw new IllegalStateException(made.body());
        var job = made.headers().firstValue("Location").orElseThrow();

        var follow = to(job + "/events?format=text").header("Accept", "application/x-ndjson").build();
        CLIENT.send(follow, BodyHandlers.ofLines()).body().filter(line -> !line.isEmpty()).forEach(System.out::println);

        var model = CLIENT.send(to(job + "/result/asset").build(), BodyHandlers.ofFile(Path.of("model.safetensors")));
        if (model.statusCode() != 200) throw new IllegalStateException(Files.readString(model.body()));
        System.out.println("model.safetensors has " + Files.size(model.body()) + " bytes");
    }

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(GATEWAY + path));
    }
}
