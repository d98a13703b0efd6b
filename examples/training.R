# Trains over two owners' data, tells how it goes, and fetches the model: Rscript training.R
library(httr2)
gateway <- Sys.getenv("GATEWAY", "http://127.0.0.1:8080")

made <- request(gateway) |>
  req_url_path("/v1/jobs") |>
  req_url_query(submit = "true") |>
  req_body_json(list(
    job_name = "trained from R",
    operation = "REGRESSION",
    dataset = list("mercy/breast-cancer", "lakeside/breast-cancer"),
    params = list(regression_type = "LOGISTIC")
  )) |>
  req_perform()
job <- paste0(gateway, resp_header(made, "Location"))

stream <- url(paste0(job, "/events?format=text"), open = "r", headers = c(Accept = "application/x-ndjson"))
while (length(line <- readLines(stream, n = 1)) > 0) {
  if (line != "") {
    event <- jsonlite::fromJSON(line, simplifyVector = FALSE)
    cat(event$event, event$data$line, event$data$phase, "\n")
  }
}
close(stream)

request(job) |> req_url_path_append("result", "asset") |> req_perform(path = "model.safetensors")
cat("model.safetensors has", file.size("model.safetensors"), "bytes\n")
